"""Answers: the same conversations as Oumi's own engines give, and no other failure than ours."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oumi.core.configs import ModelParams, RemoteParams
from oumi.core.types.conversation import Conversation, Message, Role
from oumi.inference import RemoteInferenceEngine

from oumi_fireworks.conversion import to_conversation
from oumi_fireworks.errors import ConversionError

ORIGINAL = Conversation(
    conversation_id="c-1",
    messages=[
        Message(id="m-1", role=Role.SYSTEM, content="Be brief."),
        Message(role=Role.USER, content="Hello"),
    ],
    metadata={"source": {"row": 5}, "usage": "of an earlier turn"},
)
WITH_TOOLS = Conversation(
    messages=ORIGINAL.messages,
    tools=[{"type": "function", "function": {"name": "f"}}],  # type: ignore[list-item]
)
CALL = {"id": "call_1", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{"}}


def completion(message: Any = None, **changes: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": message or {"role": "assistant", "content": "Hi."},
        "finish_reason": "stop",
    }
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "m",
        "choices": [choice],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        **changes,
    }


def finished(reason: Any) -> dict[str, Any]:
    answer = completion()
    answer["choices"][0]["finish_reason"] = reason
    return answer


@pytest.fixture(scope="module")
def stock() -> RemoteInferenceEngine:
    return RemoteInferenceEngine(ModelParams(model_name="m"), remote_params=RemoteParams())


def assert_same(ours: Conversation, theirs: Conversation) -> None:
    assert ours == theirs
    assert ours.to_json() == theirs.to_json()
    assert ours.model_fields_set == theirs.model_fields_set
    assert ours.messages[-1].model_fields_set == theirs.messages[-1].model_fields_set


def test_the_answer_is_appended_with_its_usage_and_finish_reason() -> None:
    before = ORIGINAL.to_json()
    conversation = to_conversation(completion(), ORIGINAL)
    assert json.loads(conversation.to_json()) == {
        "conversation_id": "c-1",
        "messages": [
            {"id": "m-1", "role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi."},
        ],
        "metadata": {
            "source": {"row": 5},
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            "finish_reason": "stop",
        },
    }
    assert ORIGINAL.to_json() == before


@pytest.mark.parametrize("original", [ORIGINAL, WITH_TOOLS])
@pytest.mark.parametrize(
    "answer",
    [
        completion(),
        completion({"role": "assistant", "content": ""}),
        completion({"role": "assistant", "content": None}),
        completion({"role": "assistant"}),
        completion({"role": "assistant", "content": "A\u2028\ud83d", "reasoning_content": "B"}),
        completion({"role": "assistant", "content": "A", "reasoning_content": ""}),
        completion({"role": "assistant", "content": "A", "reasoning_content": None}),
        completion({"role": "assistant", "content": "A", "reasoning": "B"}),
        completion({"role": "assistant", "content": None, "tool_calls": [CALL]}),
        completion({"role": "assistant", "content": "A", "tool_calls": [CALL, CALL]}),
        completion({"role": "assistant", "content": "A", "tool_calls": []}),
        completion({"role": "assistant", "content": "A", "unknown": 1}),
        completion(usage=None),
        completion(usage={}),
        completion(usage={"prompt_tokens": 3, "completion_tokens": 2}),
        completion(usage={"prompt_tokens": 3, "total_tokens": 3, "prompt_tokens_details": None}),
        completion(usage={"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}),
        completion(usage={"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}}),
        *map(finished, ["stop", "length", "tool_calls", "content_filter", "STOP", "odd", None]),
    ],
)
def test_it_is_the_conversation_that_oumis_own_engines_give(
    answer: dict[str, Any], original: Conversation, stock: RemoteInferenceEngine
) -> None:
    assert_same(
        to_conversation(answer, original),
        stock._convert_api_output_to_conversation(copy.deepcopy(answer), original),
    )


def test_cached_tokens_are_counted() -> None:
    usage = {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}
    metadata = to_conversation(completion(usage=usage), ORIGINAL).metadata
    assert metadata["usage"]["cached_tokens"] == 8


@pytest.mark.parametrize("role", [{}, {"role": None}, {"role": "assistant"}])
def test_an_answer_without_a_role_is_the_assistants(role: dict[str, Any]) -> None:
    conversation = to_conversation(completion({"content": "Hi.", **role}), ORIGINAL)
    assert conversation.messages[-1].role is Role.ASSISTANT


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ("none", None),
        ({"prompt_tokens": None, "completion_tokens": "2", "total_tokens": None}, (0, 0, 0)),
        ({"prompt_tokens": 3, "prompt_tokens_details": "none"}, (3, 0, 3)),
    ],
)
def test_an_answer_is_not_lost_to_strange_token_counts(usage: Any, counted: Any) -> None:
    original = Conversation(messages=ORIGINAL.messages)
    conversation = to_conversation(completion(usage=usage), original)
    usage = conversation.metadata.get("usage")
    assert (usage and tuple(usage.values())) == counted


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, "The answer is not a JSON object: None"),
        ([completion()], r"The answer is not a JSON object: \[\{"),
        ("<html>", "The answer is not a JSON object: '<html>'"),
        ({}, r"The answer has no choices: \{\}"),
        (completion(choices=None), "The answer has no choices"),
        (completion(choices=[]), "The answer has no choices"),
        (completion(choices="abc"), "The answer has no choices"),
        (completion(choices=[None]), "The answer has no choices"),
        (completion(choices=[{"index": 0}]), "The answer has no message"),
        (completion(choices=[{"message": "Hi."}]), "The answer has no message"),
        (completion(choices=[{"message": {}}]), "The answer has no message"),
        ({"error": {"message": "Overloaded", "code": 5}}, "answered with an error: Overloaded"),
        ({"error": "Overloaded"}, "answered with an error: Overloaded"),
        ({"error": {"code": 5}}, r"answered with an error: \{'code': 5\}"),
        (completion(error={"message": "Late"}), "answered with an error: Late"),
        (
            completion({"role": "bananas", "content": "A"}),
            "malformed: role: Input should be 'system'",
        ),
        (completion({"role": ["user"], "content": "A"}), "message is malformed"),
        (completion({"content": 5}), "message is malformed: content"),
        (completion({"content": [{"type": "text", "text": "A"}]}), "message is malformed"),
        (completion({"tool_calls": [{"function": {}}]}), r"malformed: tool_calls\.0\.id: Field"),
        (completion({"tool_calls": "f()"}), "message is malformed: tool_calls"),
    ],
)
def test_a_malformed_answer_says_what_is_wrong(answer: Any, expected: str) -> None:
    with pytest.raises(ConversionError, match=expected):
        to_conversation(answer, ORIGINAL)


@pytest.mark.parametrize(
    "answer",
    [
        "x" * 10_000,
        {"error": {"message": "x" * 10_000}},
        {"choices": [{"text": "x" * 10_000}]},
        completion({"tool_calls": [{"function": {"x": n}} for n in range(1000)]}),
        completion({"role": "x" * 10_000}),
    ],
)
def test_a_long_malformed_answer_is_quoted_in_part(answer: Any) -> None:
    with pytest.raises(ConversionError) as caught:
        to_conversation(answer, ORIGINAL)
    assert len(str(caught.value)) < 300


def deep(template: str) -> Any:
    """JSON that is nested as deeply as it may be and still be read."""
    return orjson.loads(template.replace("%s", "[" * 1000 + "]" * 1000))


@pytest.mark.parametrize(
    "template",
    [
        "%s",
        '{"choices": %s}',
        '{"choices": [{"message": {}, "x": %s}]}',
        '{"choices": [{"message": {"content": %s}}]}',
        '{"choices": [{"message": {"tool_calls": %s}}]}',
        '{"error": %s}',
        '{"error": {"message": %s}}',
    ],
)
def test_no_malformed_answer_is_nested_too_deeply(template: str) -> None:
    with pytest.raises(ConversionError):
        to_conversation(deep(template), ORIGINAL)


@pytest.mark.parametrize("reason", ["7", "{}", "%s"])
def test_a_strange_finish_reason_does_not_cost_an_answer(reason: str) -> None:
    answer = to_conversation(finished(deep(reason)), ORIGINAL)
    assert answer.metadata["finish_reason"] == "unknown"


def test_a_null_error_is_no_error() -> None:
    assert to_conversation(completion(error=None), ORIGINAL).messages[-1].content == "Hi."


def pruned(answer: Any, path: list[int], scrap: Any) -> Any:
    """A copy of an answer with one of its parts, found by `path`, replaced by `scrap`."""
    keys = list(answer) if isinstance(answer, dict) else range(len(answer))
    key = keys[path[0] % len(keys)]
    inner = answer[key]
    deeper = isinstance(inner, dict | list) and inner and len(path) > 1
    part = {key: pruned(inner, path[1:], scrap) if deeper else scrap}
    return (
        answer | part
        if isinstance(answer, dict)
        else [part.get(i, x) for i, x in enumerate(answer)]
    )


@given(
    path=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    scrap=st.sampled_from([None, 0, 1.5, True, "", "x", [], [None], {}, {"x": 1}]),
)
@settings(deadline=None)
def test_a_broken_answer_is_a_conversation_or_our_error(path: list[int], scrap: Any) -> None:
    whole = completion({"role": "assistant", "content": None, "tool_calls": [CALL]})
    whole["usage"]["prompt_tokens_details"] = {"cached_tokens": 1}
    try:
        conversation = to_conversation(pruned(whole, path, scrap), ORIGINAL)
    except ConversionError:
        return
    assert conversation.messages[:-1] == ORIGINAL.messages
    assert Conversation.from_json(conversation.to_json()).messages[-1] is not None
