"""Markers: what a prompt can ask of the toy model, written `[[name]]` or `[[name argument]]`.

They count in the last user message only. The table in docs/emulator.md lists them.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_MARKER = re.compile(r"\[\[([a-z][a-z-]*)(?: ([^\]]*))?\]\]")
_NONE: dict[str, str] = {}


class Prompt(NamedTuple):
    """What counts of a prompt.

    Attributes:
        text: The text of the last user message, its parts joined by spaces; empty without one.
        markers: The markers in it, with their arguments (empty where there is none).
    """

    text: str
    markers: dict[str, str]


def prompt_in(messages: list[dict[str, Any]]) -> Prompt:
    """Return what counts of these messages."""
    text = ""
    for message in reversed(messages):
        if message["role"] == "user":
            text = text_of(message.get("content"))
            break
    if "[[" not in text:
        return Prompt(text, _NONE)
    return Prompt(text, {match[1]: match[2] or "" for match in _MARKER.finditer(text)})


def messages_in(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a request; a prompt of token ids is one message that names them."""
    tokens = request.get("prompt_token_ids")
    if tokens is None:
        messages: list[dict[str, Any]] = request["messages"]
        return messages
    return [{"role": "user", "content": f"tokens {' '.join(map(str, tokens))}"}]


def text_of(content: Any) -> str:
    """Return the text in a message's content, whatever its form."""
    if isinstance(content, str):
        return content
    return " ".join(p["text"] for p in content or () if p.get("type") == "text")


def number_in(argument: str, default: int) -> int:
    """Return a marker's argument as a whole number."""
    return int(argument) if re.fullmatch(r"[0-9]{1,9}", argument) else default


def status_in(argument: str) -> int:
    """Return a marker's argument as the HTTP status of an error; 500 where it is none."""
    status = number_in(argument, 500)
    return status if 400 <= status <= 599 else 500


def seconds_in(argument: str) -> float:
    """Return a marker's argument as seconds; none where it is not a number."""
    return float(argument) if re.fullmatch(r"\d+(\.\d+)?", argument) else 0.0
