"""Conversations of texts alone, answered as JSON without building Oumi's models.

Most rows are such, and Pydantic would take half of the time that it takes to deliver them. Only
what has one reading is taken here; whatever else there is goes through
:func:`~oumi_fireworks.conversion.answers.to_conversation`. Both write the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oumi.core.types.conversation import Conversation, Message, Role

from oumi_fireworks.completions import answer_choice
from oumi_fireworks.conversion.answers import answer_message, metadata_of, require_choice
from oumi_fireworks.errors import ConversionError

_CONVERSATION_FIELDS = frozenset(Conversation.model_fields)
_MESSAGE_FIELDS = frozenset(Message.model_fields)
_TEXT_FIELDS = ("id", "content", "role", "tool_call_id", "reasoning_content")
"""Fields of a message that hold a text, in the order in which Oumi writes them."""

_ROLES = frozenset(role.value for role in Role)
_PLAIN_VALUES = frozenset({str, int, bool})
"""Types of values that stay as they are. Not None, which is left out; not float, since it is not
told here whether it was a whole number."""


def plain_texts(asked: object) -> list[str] | None:
    """Return the text of each message of a conversation; None if it is no plain one.

    Args:
        asked: The JSON of a line.
    """
    if type(asked) is not dict or asked.get("tools") is not None:
        return None
    name, metadata = asked.get("conversation_id"), asked.get("metadata", {})
    if not (name is None or type(name) is str) or type(metadata) is not dict:
        return None
    if metadata and not _PLAIN_VALUES.issuperset(map(type, metadata.values())):
        return None
    messages = asked.get("messages")
    if type(messages) is not list:
        return None
    texts = []
    for message in messages:
        if type(message) is not dict or not _is_plain(message):
            return None
        texts.append(message["content"])
    return texts


def plain_answer(choice: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the message of an answer as Oumi writes it; None if it is no plain one.

    Args:
        choice: The choice of a completion that holds its answer.
    """
    message = choice["message"]
    content, reasoning = message.get("content"), message.get("reasoning")
    role = message.get("role") or Role.ASSISTANT.value
    reasoning = reasoning or message.get("reasoning_content")
    if (
        message.get("tool_calls") is not None
        or type(role) is not str
        or role not in _ROLES
        or not (content is None or type(content) is str)
        or not (reasoning is None or type(reasoning) is str)
    ):
        return None
    answer = {"content": content or "", "role": role}
    if reasoning is not None:
        answer["reasoning_content"] = reasoning
    return answer


def why_unreadable(completion: object) -> str | None:
    """Say why a completion cannot be read as an answer; None where it can.

    It can if, and only if, :func:`to_conversation` takes it, whatever the conversation.
    """
    try:
        choice = require_choice(completion)
        if plain_answer(choice) is None:
            answer_message(choice)
    except ConversionError as error:
        return str(error)
    return None


def plainly_answered(
    asked: Mapping[str, Any], completion: Mapping[str, Any], conversation_id: str
) -> dict[str, Any] | None:
    """Return a conversation with its answer as Oumi writes it; None if the answer is no plain one.

    Fields that Oumi does not know come last, as they are.

    Args:
        asked: The JSON of a plain conversation, see :func:`plain_texts`.
        completion: Its answer.
        conversation_id: Its id.
    """
    choice = answer_choice(completion)
    answer = None if choice is None else plain_answer(choice)
    if choice is None or answer is None:
        return None
    answered = {
        "conversation_id": conversation_id,
        "messages": [*map(_message, asked["messages"]), answer],
        "metadata": metadata_of(asked.get("metadata", {}), completion, choice),
    }
    if not _CONVERSATION_FIELDS.issuperset(asked):
        answered |= {name: asked[name] for name in asked if name not in _CONVERSATION_FIELDS}
    return answered


def _is_plain(message: Mapping[str, Any]) -> bool:
    """Tell whether a message has a text, and no calls of tools."""
    if type(message.get("content")) is not str or message.get("tool_calls") is not None:
        return False
    role = message.get("role")
    if type(role) is not str or role not in _ROLES:
        return False
    if len(message) == 2:
        return True
    return all(value is None or type(value) is str for value in map(message.get, _TEXT_FIELDS))


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message as Oumi writes it."""
    if len(message) == 2:
        return {"content": message["content"], "role": message["role"]}
    written = {name: text for name in _TEXT_FIELDS if (text := message.get(name)) is not None}
    return written | {name: message[name] for name in message if name not in _MESSAGE_FIELDS}
