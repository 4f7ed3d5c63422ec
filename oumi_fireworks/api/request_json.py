"""Write the JSON of requests: whatever texts and numbers a user has, as every server reads it."""

from __future__ import annotations

import json

import orjson

from oumi_fireworks.api.lenient_json import without_lone_surrogates

_SEPARATORS = (
    (b"\xa8", "\u2028".encode(), b"\\u2028"),
    (b"\xa9", "\u2029".encode(), b"\\u2029"),
    (b"\x85", "\u0085".encode(), b"\\u0085"),
)
"""Line separators to Unicode, though not to JSON Lines, and their escapes: so a reader who splits
with ``str.splitlines`` cannot break our rows. In JSON they can only stand inside a string."""


def on_one_line(encoded: bytes) -> bytes:
    """Return JSON in which nothing is a line break to anybody."""
    if not encoded.isascii():
        for last_byte, separator, escape in _SEPARATORS:
            if last_byte in encoded:  # found out in a tenth of the time
                encoded = encoded.replace(separator, escape)
    return encoded


def encode_request(value: object) -> bytes:
    """Encode a request as UTF-8.

    Whole numbers may be of any size. Half of a surrogate pair becomes U+FFFD.

    Raises:
        TypeError: If something in it has no form in JSON.
        ValueError: As for TypeError.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        return without_lone_surrogates(json.dumps(value, allow_nan=False))
