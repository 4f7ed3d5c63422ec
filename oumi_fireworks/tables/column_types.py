"""The types of the columns of an output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as types

_TEXT, _COUNT = pa.string(), pa.int64()

TOOL_CALLS = pa.list_(
    pa.struct(
        [
            ("id", _TEXT),
            ("type", _TEXT),
            ("function", pa.struct([("name", _TEXT), ("arguments", _TEXT)])),
        ]
    )
)

TYPES: Mapping[str, pa.DataType] = {
    "answer": _TEXT,
    "finish_reason": _TEXT,
    "reasoning": _TEXT,
    "tool_calls": TOOL_CALLS,
    "prompt_tokens": _COUNT,
    "completion_tokens": _COUNT,
    "cached_tokens": _COUNT,
    "cost": pa.float64(),
    "outcome": _TEXT,
    "error": _TEXT,
}

JSON_TEXT = pa.field("json", _TEXT, metadata={b"oumi_fireworks": b"json"})
"""Marks a column of texts that are JSON: what has no one type."""


def json_field(name: str) -> pa.Field:
    """Return a column of JSON as text."""
    return JSON_TEXT.with_name(name)


def is_json(field: pa.Field) -> bool:
    """Tell whether a column holds JSON as text."""
    return bool(field.metadata) and field.metadata.get(b"oumi_fireworks") == b"json"


def field_of_values(name: str, values: Sequence[object]) -> pa.Field:
    """Return a column that can hold these values; JSON as text where they have no one type."""
    try:
        found = pa.array(values).type
    except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError):
        return json_field(name)
    return json_field(name) if _is_odd(found) else pa.field(name, found)


def widened(one: pa.Field, other: pa.Field) -> pa.Field:
    """Return a column that can hold the values of both."""
    if is_json(one) or is_json(other):
        return json_field(one.name)
    try:
        merged = pa.unify_schemas(
            [pa.schema([one]), pa.schema([other])], promote_options="permissive"
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return json_field(one.name)
    found: pa.Field = merged.field(0)
    is_text = types.is_string(found.type)
    if is_text and not (_is_text_or_null(one.type) and _is_text_or_null(other.type)):
        return json_field(one.name)
    return found


def settled(field: pa.Field) -> pa.Field:
    """Return a column of which all rows were seen; one of nulls alone is one of texts."""
    return field.with_type(_TEXT) if types.is_null(field.type) else field


def schema_fields(schema: Mapping[str, Any]) -> dict[str, pa.Field]:
    """Return the columns that the fields of a JSON Schema become, by their names.

    Args:
        schema: The schema of an object.
    """
    definitions = {
        f"#/{section}/{name}": each
        for section in ("$defs", "definitions")
        for name, each in (schema.get(section) or {}).items()
    }
    properties = _resolved(schema, definitions).get("properties") or {}
    return {name: _schema_field(name, each, definitions, 0) for name, each in properties.items()}


_SIMPLE = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
_DEEPEST = 16
"""Levels of a schema that become types; below, there is JSON as text."""


def _schema_field(name: str, raw: object, definitions: Mapping[str, Any], depth: int) -> pa.Field:
    if not isinstance(raw, Mapping) or depth > _DEEPEST:
        return json_field(name)
    schema = _resolved(raw, definitions)
    options = [each for each in schema.get("anyOf") or schema.get("oneOf") or () if each != _NULL]
    if len(options) == 1:
        return _schema_field(name, options[0], definitions, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [each for each in kind if each != "null"]
        kind = kinds[0] if len(kinds) == 1 else None
    if kind is None and _are_texts(schema.get("enum") or [schema.get("const")]):
        kind = "string"
    if kind in _SIMPLE:
        return pa.field(name, _SIMPLE[kind])
    if kind == "array":
        item = _schema_field("item", schema.get("items"), definitions, depth + 1)
        return json_field(name) if is_json(item) else pa.field(name, pa.list_(item))
    if kind == "object" and schema.get("properties"):
        inner = [
            _schema_field(each, value, definitions, depth + 1)
            for each, value in schema["properties"].items()
        ]
        return json_field(name) if any(map(is_json, inner)) else pa.field(name, pa.struct(inner))
    return json_field(name)


_NULL = {"type": "null"}


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references to the schema's own definitions."""
    for _ in range(_DEEPEST):
        target = definitions.get(schema.get("$ref", ""))
        if not isinstance(target, Mapping):
            break
        schema = target
    return schema


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(x, str) for x in values)


def _is_text_or_null(found: pa.DataType) -> bool:
    return bool(types.is_string(found) or types.is_null(found))


def _is_odd(found: pa.DataType) -> bool:
    """Tell whether Parquet cannot hold a type: a struct without fields somewhere in it."""
    if types.is_struct(found):
        fields = [found.field(number).type for number in range(found.num_fields)]
        return not fields or any(map(_is_odd, fields))
    return bool(types.is_list(found)) and _is_odd(found.value_type)
