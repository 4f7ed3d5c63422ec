"""Read and write the data of users: any JSON that Oumi reads, with its values as they are.

orjson is several times as fast as the standard library, and does most of the work. It takes a whole
number beyond 64 bits for a float, and refuses to write one; it refuses NaN, Infinity, numbers such
as ``1e400`` and half of a surrogate pair. All of these occur in the files of users.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

_LONG_NUMBER = b"0" * 19
"""Digits, as zeros, of a whole number that may be beyond 64 bits. Digits in texts are found too;
that costs time, never a value."""
_DIGITS_AS_ZEROS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))


def loads(data: bytes) -> Any:
    """Parse JSON, or what Python and Oumi take for it: NaN, Infinity, numbers of any size.

    Raises:
        ValueError: If it is no JSON, or is nested too deeply.
    """
    if _LONG_NUMBER not in data.translate(_DIGITS_AS_ZEROS):  # a tenth of a pattern's time
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def dumps(value: Any, *, sort_keys: bool = False, indent: bool = False) -> bytes:
    """Write JSON that every reader takes, as UTF-8.

    JSON has neither NaN nor Infinity: they become null, as they do where Oumi writes them. Half of
    a surrogate pair stays, as an escape.

    Args:
        value: Made of dictionaries, lists, texts, numbers, booleans and None.
        sort_keys: Whether to write the keys of objects in order.
        indent: Whether to lay it out for people.

    Raises:
        ValueError: If it is nested too deeply.
    """
    option = (orjson.OPT_SORT_KEYS if sort_keys else 0) | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError:
        pass
    try:  # other keys than texts are rare, and to allow them takes half as long again
        return orjson.dumps(value, option=option | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        pass
    layout: dict[str, Any] = {"indent": 2} if indent else {"separators": (",", ":")}
    try:
        finite = _finite(value)
        try:
            text = json.dumps(finite, sort_keys=sort_keys, ensure_ascii=False, **layout)
            return text.encode()
        except UnicodeEncodeError:
            return json.dumps(finite, sort_keys=sort_keys, **layout).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
