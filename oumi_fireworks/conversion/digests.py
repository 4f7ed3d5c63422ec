"""The digest of a conversation's prompt: see :mod:`oumi_fireworks.prompts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import xxhash
from oumi.core.types.conversation import ContentItem, Conversation, Message, Type

from oumi_fireworks.conversion.messages import tool_bodies
from oumi_fireworks.prompts import digest_of, outline_of
from oumi_fireworks.user_json import dumps


def prompt_digest(conversation: Conversation) -> int:
    """Return the digest of what the model reads of a conversation, 64 bits.

    It needs no image file, and is the same for a conversation read again from its line.
    """
    return digest_of(_parts(conversation))


def prompt_key(conversation: Conversation, parameters: Mapping[str, Any]) -> bytes:
    """Return what two rows share that ask the same: as far as shown without an image file.

    Args:
        conversation: What is asked.
        parameters: Request fields of the row alone.

    Returns:
        16 bytes of BLAKE2b: nobody can make two different prompts meet.
    """
    asked = dumps([_parts(conversation), parameters], sort_keys=True)
    return blake2b(asked, digest_size=16).digest()


def _parts(conversation: Conversation) -> list[str]:
    """Return what the model reads of a conversation."""
    parts: list[str] = []
    for message in conversation.messages:
        content = message.content
        if (
            isinstance(content, str)
            and not message.tool_calls
            and message.tool_call_id is None
            and not message.reasoning_content
        ):
            # With the number of texts that follow; ``value`` would take five times as long.
            parts.append(f"{message.role._value_}/1")
            parts.append(content)
        else:
            details = _details(message)
            parts.append(f"{message.role.value}/{len(details)}")
            parts += details
    if conversation.tools:
        parts.append(dumps(tool_bodies(conversation.tools), sort_keys=True).decode())
    return parts


def prompt_outline(conversation: Conversation) -> int:
    """Return the outline of a conversation's prompt, 64 bits: roles and texts only."""
    return outline_of(
        (message.role.value, _texts(message.content)) for message in conversation.messages
    )


def _details(message: Message) -> list[str]:
    """Say of each part of a message what it is, and what is in it."""
    details: list[str] = []
    content = message.content
    if isinstance(content, str):
        details += ("text", content)
    for item in content if isinstance(content, list) else ():
        if item.type is Type.TEXT:
            details += ("text", item.content or "")
        else:
            details += ("image", _reference(item))
    for call in message.tool_calls or ():
        details += ("call", call.id, call.function.name, call.function.arguments)
    if message.tool_call_id is not None:
        details += ("answers", message.tool_call_id)
    if message.reasoning_content:
        details += ("reasoning", message.reasoning_content)
    # Sent alike, whether it is written as a text or as a list of one.
    return details[1:] if len(details) == 2 and details[0] == "text" else details


def _reference(item: ContentItem) -> str:
    """Name an image: by its address or path as written, else by its bytes."""
    if item.content:
        return item.content
    return f"xxh3:{xxhash.xxh3_64_hexdigest(item.binary or b'')}"


def _texts(content: str | Sequence[ContentItem] | None) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [item.content or "" for item in content or () if item.type is Type.TEXT]
