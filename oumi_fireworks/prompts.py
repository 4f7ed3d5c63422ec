"""Tell prompts apart: a digest that any machine can work out again from the conversation alone.

Every row that we send carries the digest of its prompt in its ``custom_id``, and the service
returns that id with the answer. So an answer is only ever put beside the prompt that it was given
to, whoever asks for it, wherever and whenever, and nothing has to be looked up for that.

A digest covers what the model reads: roles, texts, references to images as they are written (the
files may be gone when the answers come), reasoning, tool calls and tools. It does not cover how the
request was sent: generation parameters, or whether a system message that all rows share travelled
with the job. It does not cover ids and metadata either, which a user may add later.

An outline says less, so that it can also be made of a request that another client wrote: roles
and texts only. Neighbours of one role count as one message, since some clients join them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import xxhash

DIGEST_HEX_DIGITS = 16
"""Letters of a digest as text: 64 bits."""


def digest_of(texts: Iterable[str]) -> int:
    """Return the XXH3 of some texts, 64 bits. It tells ``["a", "b"]`` from ``["ab"]``.

    64 bits let one wrong pair in 10¹⁹ pass, and nobody gains by forging one.
    """
    # As framed() does it, without a call for each text of each row.
    return digest_of_frames([f"{len(text)}:{text}" for text in texts])


def digest_of_frames(frames: Iterable[str]) -> int:
    """Return the digest of texts that are :func:`framed` already."""
    return xxhash.xxh3_64_intdigest("".join(frames).encode("utf-8", "surrogatepass"))


def framed(text: str) -> str:
    """Return a text with its length before it: so others that follow cannot be taken for it."""
    return f"{len(text)}:{text}"


def outline_of(messages: Iterable[tuple[str, Sequence[str]]]) -> int:
    """Return the outline of a prompt, 64 bits.

    Args:
        messages: The role of each message, and its texts.
    """
    said: list[str] = []
    speaker = None
    for role, texts in messages:
        if role != speaker:
            said.append(f"@{role}")
            speaker = role
        said += texts
    return digest_of(said)


def outline_of_request(body: Mapping[str, Any]) -> int | None:
    """Return the outline of the prompt in a chat completion request; None where it has none."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        return None
    return outline_of(
        (str(each.get("role")), list(_texts(each.get("content")))) for each in messages
    )


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]
