"""The digest of a prompt: the same wherever a conversation comes from, another for another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from oumi.core.configs import GenerationParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks.conversion import RequestTemplate, prompt_digest, prompt_of, prompt_outline
from oumi_fireworks.prompts import outline_of_request

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

FULL: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "content": "What is this?"},
                {"type": "image_path", "content": "gone/since/then.png"},
                {"type": "image_url", "content": "https://example.org/a.png"},
                {"type": "image_binary", "binary": "iVBORw0KGgo="},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm"},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
        {"role": "user", "content": "And \ud83d\ude00?\u2028"},
    ],
    "tools": [TOOL],
}


def read(raw: dict[str, Any]) -> Conversation:
    return Conversation.from_dict(json.loads(json.dumps(raw)))


def test_a_digest_is_worked_out_again_without_ids_metadata_and_files() -> None:
    first = prompt_digest(read(FULL))
    again = read({**FULL, "conversation_id": "seven", "metadata": {"label": "gold"}})
    assert prompt_digest(again) == first
    assert prompt_digest(Conversation.from_json(again.to_json())) == first
    assert 0 < first < 1 << 64


def test_the_digests_of_this_version_are_those_of_every_other() -> None:
    """Batches are fetched days later, by whatever version is installed then."""
    assert prompt_digest(read(FULL)) == 0xDD821D2C626768B3
    plain = {"messages": [{"role": "user", "content": "hello"}]}
    assert prompt_digest(read(plain)) == 0x0798873649F10A4E


Change = Callable[[dict[str, Any]], object]

CHANGES: dict[str, Change] = {
    "a text": lambda raw: raw["messages"][0].update(content="Be rude."),
    "a role": lambda raw: raw["messages"][4].update(role="assistant"),
    "the order": lambda raw: raw["messages"].reverse(),
    "one message less": lambda raw: raw["messages"].pop(),
    "a part's text": lambda raw: raw["messages"][1]["content"][0].update(content="What?"),
    "a path": lambda raw: raw["messages"][1]["content"][1].update(content="another.png"),
    "an address": lambda raw: raw["messages"][1]["content"][2].update(content="https://b/c.png"),
    "an image's bytes": lambda raw: raw["messages"][1]["content"][3].update(binary="iVBORw0KGgs="),
    "an argument": lambda raw: raw["messages"][2]["tool_calls"][0]["function"].update(
        arguments="[]"
    ),
    "the reasoning": lambda raw: raw["messages"][2].update(reasoning_content="aha"),
    "the call that is answered": lambda raw: raw["messages"][3].update(tool_call_id="c2"),
    "a tool": lambda raw: raw["tools"][0]["function"].update(name="g"),
    "no tools": lambda raw: raw.pop("tools"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_prompt_has_another_digest(change: Change) -> None:
    other: dict[str, Any] = json.loads(json.dumps(FULL))
    change(other)
    assert prompt_digest(read(other)) != prompt_digest(read(FULL))


def test_texts_cannot_move_from_one_message_to_the_next() -> None:
    def two(first: str, second: str) -> Conversation:
        messages = [{"role": "user", "content": text} for text in (first, second)]
        return read({"messages": messages})

    digests = {
        prompt_digest(two(*texts))
        for texts in (("ab", "c"), ("a", "bc"), ("", "abc"), ("a6:user/1", "bc"))
    }
    assert len(digests) == 4


def test_a_text_and_a_list_of_that_text_are_one_prompt_as_they_are_one_request() -> None:
    text = read({"messages": [{"role": "user", "content": "hello"}]})
    listed = read(
        {"messages": [{"role": "user", "content": [{"type": "text", "content": "hello"}]}]}
    )
    assert prompt_digest(text) == prompt_digest(listed)


def test_the_outline_of_a_request_is_that_of_its_conversation() -> None:
    raw = {**FULL, "messages": [FULL["messages"][0], *FULL["messages"][2:]]}
    conversation = read(raw)
    body = json.loads(json.dumps(RequestTemplate(GenerationParams()).body(prompt_of(conversation))))
    assert outline_of_request(body) == prompt_outline(conversation)
    body["messages"][-1]["content"] += "!"
    assert outline_of_request(body) != prompt_outline(conversation)


def test_neighbours_that_another_client_has_joined_have_the_same_outline() -> None:
    conversation = read(
        {"messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]}
    )
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    joined = {"messages": [{"role": "user", "content": parts}]}
    assert outline_of_request(joined) == prompt_outline(conversation)


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": ["hello"]}])
def test_what_is_no_request_has_no_outline(body: dict[str, Any]) -> None:
    assert outline_of_request(body) is None
