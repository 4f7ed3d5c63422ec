"""The toy model's structured output is valid, whatever the schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oumi_fireworks.emulator.toy.schema import instance_of

NODE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "next", "children"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"const": None},
        {"enum": ["a", 2, None]},
        {"type": ["string", "null"], "maxLength": 2},
        {"type": "string", "minLength": 30},
        {"type": "string", "format": "date-time"},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
        {"type": "number", "multipleOf": 0.1, "minimum": 0.25},
        {"type": "integer", "multipleOf": 7, "exclusiveMinimum": 7, "maximum": 14},
        {"type": "integer", "maximum": -5},
        {"type": "integer", "minimum": 1.5},
        {"minimum": 100},
        {"type": "array", "minItems": 3, "maxItems": 3, "items": {"type": "boolean"}},
        {"type": "array", "uniqueItems": True, "minItems": 4, "items": {"type": "string"}},
        {"type": "array", "uniqueItems": True, "minItems": 2, "items": {"enum": ["a", "b"]}},
        {
            "type": "array",
            "uniqueItems": True,
            "minItems": 3,
            "items": {"type": "object", "properties": {"x": {"type": "integer"}}},
        },
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}], "items": False},
        {"items": {"type": "integer"}, "minItems": 1},
        {"type": "object", "minProperties": 3},
        {"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}},
        {"properties": {"a": {"type": "object", "properties": {"b": {"enum": [1]}}}}},
        {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
        {"allOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"},
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "string"}}]},
        {"type": "object", "properties": {"a": {"anyOf": [{"const": "x"}, {"const": "y"}]}}},
        {
            "definitions": {"x": {"type": "string"}},
            "properties": {"a": {"$ref": "#/definitions/x"}},
        },
        {"$defs": {"a/b~c": {"const": 5}}, "$ref": "#/$defs/a~1b~0c"},
        NODE,
    ],
    ids=str,
)
def test_an_instance_is_valid(schema: Any, seed: int) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(instance_of(schema, seed), schema, jsonschema.Draft202012Validator)


SCALARS = st.one_of(
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-50, 50),
        st.integers(0, 50),
    ),
    st.builds(
        lambda low, more: {"type": "number", "minimum": low, "maximum": low + more},
        st.integers(-50, 50),
        st.integers(0, 50),
    ),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.lists(st.text(max_size=3) | st.integers() | st.none(), min_size=1, unique=True).map(
        lambda values: {"enum": values}
    ),
)


def objects_of(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.text("abc", min_size=1, max_size=2), schemas, max_size=4)
    return st.builds(
        lambda properties, closed: {
            "type": "object",
            "properties": properties,
            "required": sorted(properties)[::2],
            "additionalProperties": not closed,
        },
        named,
        st.booleans(),
    )


def arrays_of(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda items, low, more: {
            "type": "array",
            "items": items,
            "minItems": low,
            "maxItems": low + more,
        },
        schemas,
        st.integers(0, 3),
        st.integers(0, 3),
    )


SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        objects_of(inner),
        arrays_of(inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(SCHEMAS, st.integers(0, 2**64))
def test_an_instance_of_any_schema_is_valid(schema: Any, seed: int) -> None:
    jsonschema.validate(instance_of(schema, seed), schema, jsonschema.Draft202012Validator)


def test_it_is_the_same_every_time_and_varies_with_the_seed() -> None:
    schema = {"enum": list(range(10))}
    assert instance_of(schema, 3) == instance_of(schema, 3)
    assert len({instance_of(schema, seed) for seed in range(10)}) == 10


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema"},
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {
            "$defs": {"n": {"required": ["n"], "properties": {"n": {"$ref": "#/$defs/n"}}}},
            "$ref": "#/$defs/n",
        },
        {"$ref": 5},
        {"type": "string", "minLength": 10**12},
        {"type": "array", "minItems": 10**9},
        {"type": "object", "minProperties": 10**9},
        {"type": "array", "minItems": "two"},
    ],
)
def test_what_cannot_be_done_is_an_error(schema: Any) -> None:
    with pytest.raises(
        ValueError, match=r"within the schema|circle|no finite value|at most 100000"
    ):
        instance_of(schema)
