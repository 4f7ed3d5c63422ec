"""The ids of conversations that come without one."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence

from oumi.core.types.conversation import Conversation

_NAMESPACE = hashlib.sha1(uuid.NAMESPACE_DNS.bytes, usedforsecurity=False)
"""The beginning of each version 5 id. RFC 9562, 5.5: SHA-1 of the name space and the name, 4 of its
bits replaced by the version (5) and 2 by the variant."""

_VARIANTS = {f"{digit:x}": "89ab"[digit & 0b11] for digit in range(16)}
"""Hex digits with the bits of the variant in them, by what they were before."""


def give_ids(conversations: Sequence[Conversation]) -> bool:
    """Give an id to each conversation without one, and tell whether all ids differ.

    They follow from the place and the texts, so the same input has the same ids again.
    """
    for index, conversation in enumerate(conversations):
        named(conversation, index)
    return len({each.conversation_id for each in conversations}) == len(conversations)


def named(conversation: Conversation, index: int) -> Conversation:
    """Give a conversation an id, unless it has one.

    Args:
        conversation: It is changed, and returned.
        index: Its position among the rows of the batch, zero-based.
    """
    if conversation.conversation_id is None:
        contents = [each.content for each in conversation.messages]
        texts = [content for content in contents if isinstance(content, str)]
        conversation.conversation_id = conversation_id_for(index, texts)
    return conversation


def conversation_id_for(index: int, texts: Iterable[str]) -> str:
    """Return the id that Oumi's ``infer`` gives to a conversation without one.

    It is ``str(uuid.uuid5(uuid.NAMESPACE_DNS, ...))``, in a third of the time: each row needs one.

    Args:
        index: Its position in the input, zero-based.
        texts: Its messages that are a text.
    """
    content = hashlib.sha256(",".join(texts).encode()).hexdigest()
    digest = _NAMESPACE.copy()
    digest.update(f"{index}_{content}".encode())
    digits = digest.hexdigest()
    return (
        f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-"
        f"{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:32]}"
    )
