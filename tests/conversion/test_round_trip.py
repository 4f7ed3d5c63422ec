"""Every kind of request, sent to a Fireworks that refuses what it does not know."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from oumi.core.configs import GenerationParams, GuidedDecodingParams
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type

from oumi_fireworks.conversion import (
    RequestTemplate,
    check_conversation,
    prompt_of,
    to_conversation,
)
from oumi_fireworks.emulator import Emulator

PIXEL = b"P6\n1 1\n255\n\xff\x00\x00"  # one red pixel, as PPM
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ADD = {"type": "function", "function": {"name": "add", "parameters": SCHEMA}}
QUESTION = Message(role=Role.USER, content="What is 1 + 1?")
PLAIN = Conversation(conversation_id="c", messages=[QUESTION], metadata={"row": 1})
TOOLS = Conversation(messages=[QUESTION], tools=[ADD])  # type: ignore[list-item]
AFTER_A_CALL = Conversation.from_dict(
    {
        "messages": [
            {"role": "system", "content": "Use the tools."},
            {"role": "user", "content": "What is 1 + 1?"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Add.",
                "tool_calls": [{"id": "1", "function": {"name": "add", "arguments": "{}"}}],
            },
            {"role": "tool", "content": "2", "tool_call_id": "1"},
        ],
        "tools": [ADD],
    }
)
PICTURES = Conversation(
    messages=[
        Message(
            role=Role.USER,
            content=[
                ContentItem(type=Type.TEXT, content="What is this?"),
                ContentItem(type=Type.IMAGE_URL, content="https://example.com/a.png"),
                ContentItem(type=Type.IMAGE_BINARY, binary=PIXEL),
            ],
        )
    ]
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def ask(
    emulator: Emulator,
    conversation: Conversation,
    generation: GenerationParams | None = None,
    **extra_body: Any,
) -> Conversation:
    """Send a conversation and give it back with its answer; an HTTP error is raised."""
    check_conversation(conversation, 0)
    template = RequestTemplate(
        generation or GenerationParams(),
        model="accounts/fireworks/models/toy-vision",
        extra_body=extra_body,
        user="somebody",
    )
    request = urllib.request.Request(
        f"{emulator.url}/inference/v1/chat/completions",
        data=json.dumps(template.body(prompt_of(conversation))).encode(),
        headers={
            "Authorization": f"Bearer {emulator.api_key}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request) as response:
        return to_conversation(json.load(response), conversation)


@pytest.mark.parametrize("conversation", [PLAIN, TOOLS, AFTER_A_CALL, PICTURES])
def test_a_conversation_comes_back_with_its_answer(
    emulator: Emulator, conversation: Conversation
) -> None:
    answered = ask(emulator, conversation)
    assert answered.messages[:-1] == conversation.messages
    assert answered.messages[-1].role is Role.ASSISTANT
    assert answered.conversation_id == conversation.conversation_id
    assert answered.metadata.keys() == {*conversation.metadata, "usage", "finish_reason"}
    assert answered.metadata["usage"]["prompt_tokens"] > 0


def test_all_parameters_are_taken_at_once(emulator: Emulator) -> None:
    generation = GenerationParams(
        max_new_tokens=1,
        seed=1,
        temperature=0.5,
        top_p=0.5,
        frequency_penalty=1.0,
        presence_penalty=1.0,
        stop_strings=["a", "b"],
        stop_token_ids=[1],
        logit_bias={1: 1.0},
        min_p=0.5,
        num_beams=2,
        parallel_tool_calls=False,
    )
    ask(emulator, TOOLS, generation, top_k=40, reasoning_effort="low", n=1)
    answered = ask(emulator, PLAIN, generation, top_k=40, reasoning_effort="low", n=1)
    assert answered.metadata["finish_reason"] == "length"
    assert answered.metadata["usage"]["completion_tokens"] == 1


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "add"}}])
def test_a_forced_tool_is_called(emulator: Emulator, choice: Any) -> None:
    answered = ask(emulator, TOOLS, GenerationParams(tool_choice=choice))
    calls = answered.messages[-1].tool_calls
    assert calls is not None
    (call,) = calls
    assert call.function.name == "add"
    assert answered.metadata["finish_reason"] == "tool_calls"
    # The answer with its call is a conversation that can be sent again.
    result = Message(role=Role.TOOL, content="2", tool_call_id=call.id)
    ask(emulator, Conversation(messages=[*answered.messages, result], tools=answered.tools))


@pytest.mark.parametrize("strict", [False, True])
def test_a_json_schema_shapes_the_answer(emulator: Emulator, strict: bool) -> None:
    guided = GuidedDecodingParams(json=SCHEMA, strict=strict)
    content = ask(emulator, PLAIN, GenerationParams(guided_decoding=guided)).messages[-1].content
    assert isinstance(content, str)
    assert json.loads(content).keys() == {"n"}
