"""The one check that something is a chat completion with an answer in it."""

from __future__ import annotations

from typing import Any


def answer_choice(value: object) -> dict[str, Any] | None:
    """Return the choice that holds a completion's answer; None if there is no answer in it.

    An answer is a message in the first choice, in an object that reports no error beside it.

    Args:
        value: Parsed JSON, of whatever shape.
    """
    if not isinstance(value, dict) or value.get("error"):
        return None
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return None
    message = first.get("message")
    return first if isinstance(message, dict) and message else None
