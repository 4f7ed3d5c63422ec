"""Reading requests the way the gRPC gateway does: proto3 JSON, strictly.

A message is described by a mapping from its camelCase field names to their kinds. Both
`exampleCount` and `example_count` are accepted, anything else is an unknown field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from oumi_fireworks.emulator.wire.errors import ApiError, Code, gateway_error

Spec = Mapping[str, Any]
"""Field name (camelCase) to kind: "string", "int32", "int64", "double", "bool", "any" (an
object of any form), "sizes" (a map from string to int64), "duration" (seconds, written as
`"172800s"`), or another `Spec`."""

_DURATION = re.compile(r"(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)s")


def read_message(body: bytes, spec: Spec) -> dict[str, Any]:
    """Parse and check a request body.

    Args:
        body: The bytes of the request; empty ones mean an empty message.
        spec: The message's fields.

    Returns:
        The fields that were set, under their camelCase names, 64-bit numbers as `int`.

    Raises:
        ApiError: 400, saying which field is wrong.
    """
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid(f"proto: syntax error (line 1:{error.colno}): {error.msg}") from None
    return _message(value, spec)


def snake(name: str) -> str:
    """Return `exampleCount` as `example_count`."""
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


def camel(name: str) -> str:
    """Return `example_count` as `exampleCount`."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def _invalid(message: str) -> ApiError:
    return gateway_error(Code.INVALID_ARGUMENT, message)


def _message(value: object, spec: Spec) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid("proto: syntax error (line 1:1): unexpected token, expected an object")
    fields: dict[str, Any] = {}
    for given, content in value.items():
        name = given if given in spec else camel(given)
        if name not in spec or given not in (name, snake(name)):
            raise _invalid(f'proto: (line 1:2): unknown field "{given}"')
        if name in fields:
            raise _invalid(f'proto: (line 1:2): duplicate field "{given}"')
        if content is not None:  # proto3 JSON: null is the same as leaving the field out
            fields[name] = _value(content, spec[name], given)
    return fields


def _value(value: object, kind: Any, field: str) -> Any:
    if isinstance(kind, Mapping):
        return _message(value, kind)
    if kind == "any":
        if isinstance(value, dict):
            return value
    elif kind == "string":
        if isinstance(value, str):
            return value
    elif kind == "sizes":
        if isinstance(value, dict):
            return {key: _value(item, "int64", field) for key, item in value.items()}
    elif kind == "duration":
        if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
            return float(match[1])
    elif kind == "bool":
        if isinstance(value, bool):
            return value
    elif (number := _number(value, kind)) is not None:
        return number
    shown = orjson.dumps(value).decode()[:80]
    raise _invalid(f"proto: (line 1:2): invalid value for {kind} field {field}: {shown}")


def _number(value: object, kind: str) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value) if kind == "double" else int(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if kind == "double":
        return float(value)
    bits = 31 if kind == "int32" else 63
    if value != int(value) or not -(2**bits) <= value < 2**bits:
        return None
    return int(value)
