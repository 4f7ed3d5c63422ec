"""Oumi's messages and tools → the message and tool objects of a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type
from oumi.core.types.tool_call import ToolCall, ToolDefinition

from oumi_fireworks.conversion.images import image_fault, image_url
from oumi_fireworks.grammar import ended
from oumi_fireworks.request_fields import not_sendable

_FUNCTION_FIELDS = {"name", "description", "parameters", "strict"}
"""What is sent of a tool's function: Oumi's types keep unknown keys, and Fireworks refuses them."""

_ASSISTANT = Role.ASSISTANT.value


def check_conversation(
    conversation: Conversation, index: int | None = None, *, with_images: bool = True
) -> None:
    """Refuse a conversation that Fireworks would refuse: in a batch one such row fails the job.

    Args:
        conversation: The conversation to be sent.
        index: Its place in the input, zero-based, for the error; None where the caller says which
            one it is.
        with_images: Whether to look for image files.

    Raises:
        ValueError: It has no messages, or a message or a tool that cannot be sent.
    """
    if not conversation.messages:
        name = "it" if index is None else name_of(conversation, index)
        raise ValueError(f"{name} has no messages: there is nothing to answer.")
    fault = _first_fault(conversation, with_images=with_images)
    if fault is not None:
        name = "" if index is None else f"{name_of(conversation, index)}, "
        raise ValueError(f"{name}{ended(fault)}")


def name_of(conversation: Conversation, index: int) -> str:
    """Name a conversation for people: by its place, and by its id where it has one."""
    name = conversation.conversation_id
    return f"Conversation {index}" + (f" (id {name!r})" if name else "")


def caution(conversation: Conversation) -> str | None:
    """Return what a user should know of a conversation that can be sent; None if nothing."""
    return ending_caution(conversation.messages[-1].role)


def ending_caution(role: str) -> str | None:
    """Return what a user should know of a conversation that ends with a message of this role."""
    if role == _ASSISTANT:
        return (
            "it ends with an assistant message: many models answer as if that were a finished "
            "turn, others continue it, and a batch may refuse it"
        )
    return None


def message_bodies(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Make the message objects of a request.

    Raises:
        ValueError: An image cannot be read.
    """
    return [_message_body(message) for message in messages]


def tool_bodies(tools: Sequence[ToolDefinition]) -> list[dict[str, Any]]:
    """Make the tool objects of a request."""
    return [
        {
            "type": tool.type.value,
            "function": tool.function.model_dump(
                mode="json", exclude_none=True, include=_FUNCTION_FIELDS
            ),
        }
        for tool in tools
    ]


def _message_body(message: Message) -> dict[str, Any]:
    # Attributes are read one by one: this runs for every message of a batch, and Pydantic's own
    # dump costs several times as much.
    content = message.content
    body: dict[str, Any] = {
        "role": message.role._value_,  # ``value`` takes five times as long
        # A turn of tool calls has null content: the API asks for the field, and for null there.
        "content": None if content is None else _content(content),
    }
    if message.tool_calls:
        body["tool_calls"] = [_tool_call_body(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    if message.reasoning_content:
        body["reasoning_content"] = copied(message.reasoning_content)
    return body


def _tool_call_body(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": call.type.value,
        "function": {"name": call.function.name, "arguments": copied(call.function.arguments)},
    }


def _content(content: str | Sequence[ContentItem]) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return copied(content)
    if len(content) == 1 and content[0].type is Type.TEXT:
        return copied(content[0].content or "")  # models without vision take plain text only
    return [_content_body(item) for item in content]


def _content_body(item: ContentItem) -> dict[str, Any]:
    if item.type is Type.TEXT:
        return {"type": "text", "text": copied(item.content or "")}
    return {"type": "image_url", "image_url": {"url": image_url(item)}}


def copied(text: str) -> str:
    """Copy a text that is not ASCII.

    Encoding leaves a text's UTF-8 form with it for as long as it lives. The caller's conversations
    would become half as large again; a copy goes away with its request.
    """
    return text if text.isascii() else text[:1] + text[1:]


def _first_fault(conversation: Conversation, *, with_images: bool) -> str | None:
    """Return what makes messages or tools impossible to send, or None."""
    for number, message in enumerate(conversation.messages):
        fault = _fault(message, with_images=with_images)
        if fault is not None:
            return f"message {number}: {fault}"
    for tool in conversation.tools or ():
        # Pydantic's dump to JSON would make null of it without a word.
        fault = not_sendable(tool.function.model_dump(include=_FUNCTION_FIELDS), "tools")
        if fault is not None:
            return fault
    return None


def _fault(message: Message, *, with_images: bool) -> str | None:
    """Return what makes a message impossible to send, or None."""
    if message.role is Role.TOOL and not message.tool_call_id:
        return "a tool's answer needs the tool_call_id of the call that it answers"
    content = message.content
    if isinstance(content, str):
        return None
    if content is None:
        return None if message.role is Role.ASSISTANT else "only an assistant may have no content"
    if not content:
        return "its content is an empty list"
    for item in content:
        fault = image_fault(item, with_files=with_images)
        if fault is not None:
            return fault
    return None
