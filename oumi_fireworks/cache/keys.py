"""What makes two requests the same: the model, and every byte of the body."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from oumi_fireworks.api.request_json import encode_request, on_one_line

KEY_BYTES = 16
"""Bytes of a key: of BLAKE2b, since prompts may hold text of strangers, who must not be able to
make two of them meet."""

_NOT_OF_THE_QUESTION = frozenset({"model", "stream", "stream_options"})
"""Fields that a batch's rows have not, and that do not change the answer of a model."""


def key_of(model: str, body: bytes) -> bytes:
    """Return the key of a request.

    Args:
        model: Its model.
        body: The rest of it, as JSON.
    """
    digest = hashlib.blake2b(model.encode() + b"\0", digest_size=KEY_BYTES)
    digest.update(body)
    return digest.digest()


def key_of_body(model: str, body: Mapping[str, Any]) -> bytes:
    """Return the key of a request that is not encoded yet, online or in a batch."""
    asked = {name: value for name, value in body.items() if name not in _NOT_OF_THE_QUESTION}
    return key_of(model, on_one_line(encode_request(asked)))
