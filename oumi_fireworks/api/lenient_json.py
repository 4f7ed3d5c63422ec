"""Read the JSON of answers as generously as can be done without guessing.

orjson is strict, and right to be. But a lone surrogate (a model's emoji cut in half), a NaN, a
number too large for a double or a stray byte must not cost an answer that was paid for.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson


def lenient_loads(data: bytes) -> Any:
    """Parse JSON that need not be strictly right.

    A lone surrogate and a byte that is not UTF-8 become U+FFFD; NaN, Infinity and numbers too
    large for a double become None. So the value can be written as strict JSON again.

    Args:
        data: One JSON value.

    Raises:
        ValueError: It is no JSON in spite of that, or is nested too deeply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return mended(loads_with_surrogates(data))


def loads_with_surrogates(data: bytes) -> Any:
    """Parse JSON leniently, and keep lone surrogates: their other half may be in the next piece.

    Raises:
        ValueError: It is no JSON in spite of that, or is nested too deeply.
    """
    text = data.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def mended(value: Any) -> Any:
    """Return a value with surrogates put together, and U+FFFD where the other half is missing.

    Raises:
        ValueError: It is nested too deeply.
    """
    try:
        return orjson.loads(without_lone_surrogates(json.dumps(value)))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def json_or_text(data: bytes) -> Any:
    """Parse an answer leniently; return its text where it is no JSON."""
    try:
        return lenient_loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


def without_lone_surrogates(text: str) -> bytes:
    """Encode ASCII JSON as UTF-8, with U+FFFD for each surrogate that has lost its other half."""
    plain = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None
