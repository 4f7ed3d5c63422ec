"""Write the JSON of requests: whatever texts and numbers a user has, as every server reads it."""

from __future__ import annotations

import json

import orjson

from oumi_fireworks.api.lenient_json import without_lone_surrogates


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
