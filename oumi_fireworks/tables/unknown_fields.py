"""Fields of a line that are no part of an Oumi conversation: not sent, and kept in the output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from oumi.core.types.conversation import Conversation, Message

CONVERSATION_FIELDS = frozenset(Conversation.model_fields)
"""The fields of a conversation that Oumi knows."""

_OF_MESSAGE = frozenset(Message.model_fields)


def unknown_fields(line: Mapping[str, Any]) -> set[str]:
    """Return the names of the fields that Oumi does not know: ``label``, ``messages.weight``."""
    found = set(line) - CONVERSATION_FIELDS
    for message in _messages(line):
        found |= {f"messages.{name}" for name in message.keys() - _OF_MESSAGE}
    return found


def with_unknown_fields(answered: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add to an answered conversation the fields of its line that Oumi does not know.

    Args:
        answered: As ``Conversation.to_dict`` gives it; it is changed.
        asked: The JSON of the line that the conversation was read from.
    """
    answered |= {name: value for name, value in asked.items() if name not in CONVERSATION_FIELDS}
    for message, ours in zip(_messages(asked), answered["messages"], strict=False):
        ours |= {name: value for name, value in message.items() if name not in _OF_MESSAGE}
    return answered


def _messages(line: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (message for message in line["messages"] if isinstance(message, dict))
