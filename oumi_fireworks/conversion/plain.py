"""Conversations of texts alone, read and answered as JSON without building Oumi's models.

Most rows are such, and Pydantic would take half of the time that it takes to send and to deliver
them. Only what has one reading is taken here; whatever else there is goes through Oumi's models
(:class:`~oumi_fireworks.conversion.prompts.ModelPrompt`,
:func:`~oumi_fireworks.conversion.answers.to_conversation`). Both ways make the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from oumi.core.types.conversation import Conversation, Message, Role

from oumi_fireworks.completions import answer_choice
from oumi_fireworks.conversion.answers import answer_message, metadata_of, require_choice
from oumi_fireworks.conversion.prompts import PLAIN_ROLES, PlainPrompt
from oumi_fireworks.errors import ConversionError

_CONVERSATION_FIELDS = frozenset(Conversation.model_fields)
_MESSAGE_FIELDS = frozenset(Message.model_fields)
_TEXT_FIELDS = ("id", "content", "role", "tool_call_id", "reasoning_content")
"""Fields of a message that hold a text, in the order in which Oumi writes them."""

_ROLES = frozenset(role.value for role in Role)
_PLAIN_VALUES = frozenset({str, int, bool})
"""Types of values that stay as they are, in metadata too. Not None, which Oumi leaves out of these;
not float, since Oumi and orjson differ in whole numbers beyond 64 bits."""

_WHOLE_NUMBERS = 2.0**63
"""Where they begin that orjson takes for a float."""

_DEEPEST = 200
"""Lists and objects within each other that Oumi's parser takes; orjson takes more."""


def plain_conversation(line: bytes) -> dict[str, Any] | None:
    """Return the JSON of a conversation of texts alone, which Oumi takes as it is.

    Args:
        line: Any line; None comes of every other.
    """
    try:
        asked = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
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
    others, longer = len(line), []
    for message in messages:
        if type(message) is not dict or not _is_plain(message):
            return None
        others -= len(message["content"])
        if len(message) > 2:
            longer.append(message)
    if others > 2 * _DEEPEST and line.count(b"[") + line.count(b"{") > _DEEPEST:
        # Counted in the line: a field that occurs twice hides what it held at first.
        return None
    # After that: what is nested too deeply has been left to Oumi, which says so.
    if not _CONVERSATION_FIELDS.issuperset(asked) and not _others_have_one_reading(
        asked, _CONVERSATION_FIELDS
    ):
        return None
    if not all(_others_have_one_reading(message, _MESSAGE_FIELDS) for message in longer):
        return None
    return asked


def plain_prompt(asked: Mapping[str, Any]) -> PlainPrompt | None:
    """Return what a plain conversation asks; None if Fireworks reads more than texts, or nothing.

    Args:
        asked: See :func:`plain_conversation`.
    """
    messages = []
    for message in asked["messages"]:
        role = message["role"]
        if role not in PLAIN_ROLES or (
            len(message) > 2
            and (message.get("tool_call_id") is not None or message.get("reasoning_content"))
        ):
            return None
        messages.append({"role": role, "content": message["content"]})
    return PlainPrompt(asked.get("conversation_id"), messages) if messages else None


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
        asked: See :func:`plain_conversation`.
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
    """Tell whether a message has a text, and no calls of tools, whatever Oumi does not know."""
    content, role = message.get("content"), message.get("role")
    if type(content) is not str or type(role) is not str or role not in _ROLES:
        return False
    if len(message) == 2:
        return True
    if message.get("tool_calls") is not None:
        return False
    return all(value is None or type(value) is str for value in map(message.get, _TEXT_FIELDS))


def _others_have_one_reading(fields: Mapping[str, Any], known: frozenset[str]) -> bool:
    """Tell whether every reader takes the other fields, which Oumi does not know, for the same."""
    return all(_has_one_reading(fields[name]) for name in fields if name not in known)


def _has_one_reading(value: object) -> bool:
    if isinstance(value, float):
        return -_WHOLE_NUMBERS < value < _WHOLE_NUMBERS
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return all(map(_has_one_reading, value))
    return True


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message as Oumi writes it."""
    if len(message) == 2:
        return {"content": message["content"], "role": message["role"]}
    written = {name: text for name in _TEXT_FIELDS if (text := message.get(name)) is not None}
    return written | {name: message[name] for name in message if name not in _MESSAGE_FIELDS}
