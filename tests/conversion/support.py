"""What the tests of requests have in common, and what the official client's types take."""

from __future__ import annotations

import io
import json
from typing import Any

import PIL.Image
import pydantic
from fireworks.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from fireworks.types.shared.chat_message import ChatMessage
from fireworks.types.shared_params.chat_completion_tool import ChatCompletionTool
from oumi.core.configs import GenerationParams
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role

from oumi_fireworks.conversion import RequestTemplate, prompt_of

HELLO = Conversation(messages=[Message(role=Role.USER, content="Hello")])


WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather somewhere.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "minLength": 1}},
            "required": ["city"],
        },
    },
}


TOOL_TALK = Conversation(
    messages=[
        Message(role=Role.USER, content="Rain in Paris?"),
        Message(
            role=Role.ASSISTANT,
            reasoning_content="Ask the tool.",
            tool_calls=[
                {  # type: ignore[list-item]
                    "id": "call_1",
                    "index": 0,
                    "type": "function",
                    "function": {"name": "weather", "arguments": {"city": "Paris"}, "x": 1},
                }
            ],
        ),
        Message(role=Role.TOOL, content='{"rain": true}', tool_call_id="call_1"),
        Message(role=Role.ASSISTANT, content="Yes.", tool_calls=[], reasoning_content=""),
        Message(role=Role.USER, content="And tomorrow?"),
    ],
    tools=[WEATHER_TOOL],  # type: ignore[list-item]
)


REQUEST = pydantic.TypeAdapter(CompletionCreateParamsNonStreaming)


TOOL = pydantic.TypeAdapter(ChatCompletionTool)


def assert_fireworks_takes(body: dict[str, Any]) -> None:
    """Hold a body against the types of the official client, which allow nothing else."""
    REQUEST.validate_python({"model": "m", **body}, extra="forbid")
    for message in body["messages"]:
        ChatMessage.model_validate(message, extra="forbid")
    for tool in body.get("tools", ()):
        TOOL.validate_python(tool, extra="forbid")
    json.dumps(body, allow_nan=False)


def body_of(
    conversation: Conversation = HELLO,
    generation: GenerationParams | None = None,
    **options: Any,
) -> dict[str, Any]:
    body = RequestTemplate(generation or GenerationParams(), **options).body(
        prompt_of(conversation)
    )
    assert_fireworks_takes(body)
    return body


def image(kind: str) -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (2, 2), "red").save(out, format=kind)
    return out.getvalue()


def content_of(*items: ContentItem) -> Any:
    conversation = Conversation(messages=[Message(role=Role.USER, content=list(items))])
    return body_of(conversation)["messages"][0]["content"]


class Planet(pydantic.BaseModel):
    class Moon(pydantic.BaseModel):
        name: str

    name: str
    moons: list[Moon]
