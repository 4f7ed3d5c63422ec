"""The one check that something is a chat completion with an answer in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANSWERED_BY = "answered_by"
"""Field of a completion, and of a conversation's metadata, that was not paid for as this row's."""
FROM_CACHE = "cache"
"""Value of it: it was found in the cache."""
FROM_REPEAT = "repeat"
"""Value of it: it is the answer to another row of the run that asked the same."""
RAN_ONLINE = "ran_online"
"""Field of a completion, and of a conversation's metadata, of a row of a batch that ran online when
the deadline had passed: it was paid for at the price of online inference."""
_KEPT = ("content", "reasoning_content", "reasoning", "tool_calls")
"""Fields of a message that are the model's answer."""


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


def kept_answer(completion: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is written down of an answer that is not taken, beside why.

    It was paid for: ``answer`` is its message, ``finish_reason`` and ``usage`` are as they came.
    """
    choice = answer_choice(completion) or {}
    message = choice.get("message") or {}
    return {
        "answer": {"role": "assistant", **{key: message[key] for key in _KEPT if key in message}},
        "finish_reason": choice.get("finish_reason"),
        "usage": completion.get("usage"),
    }
