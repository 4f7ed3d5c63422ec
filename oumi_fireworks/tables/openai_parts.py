"""Content parts as OpenAI writes them, turned into Oumi's.

OpenAI: ``{"type": "text", "text": ...}`` and ``{"type": "image_url", "image_url": {"url": ...}}``.
Oumi: the same types with ``content``. Files made for one are often given to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oumi_fireworks.user_json import loads


def with_oumi_parts(line: bytes) -> dict[str, Any] | None:
    """Return a conversation with its content parts as Oumi has them; None if it has no others."""
    try:
        conversation = loads(line)
    except ValueError:
        return None
    messages = conversation.get("messages") if isinstance(conversation, dict) else None
    if not isinstance(messages, list):
        return None
    found = False
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            continue
        for number, part in enumerate(content):
            text = _content_of(part)
            if text is not None:
                content[number] = {"type": part["type"], "content": text}
                found = True
    return conversation if found else None


def _content_of(part: object) -> str | None:
    """Return what is in a part of OpenAI's; None if it is none."""
    if not isinstance(part, Mapping) or "content" in part:
        return None
    value = part.get(part["type"]) if part.get("type") in ("text", "image_url") else None
    if isinstance(value, Mapping):
        value = value.get("url")
    return value if isinstance(value, str) else None
