"""Schemas: the broken ones are refused before anything is sent; formats are checked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from oumi_fireworks.accept.schemas import Schema
from oumi_fireworks.errors import OptionError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            {"type": "objekt"},
            r"the schema is no JSON schema: 'objekt' is not valid .* \(at /type\)",
        ),
        ({"properties": []}, r"is no JSON schema: .*at /properties"),
        ({"pattern": "("}, r"is no JSON schema: '\(' is not a 'regex'"),
        ({"required": "name"}, "is no JSON schema"),
        ({"$ref": "#/$defs/nothing"}, r"refers to '/?#?/\$defs/nothing', which it does not hold"),
        (
            {"items": {"$ref": "https://example.com/s.json"}},
            "refers to 'https://example.com/s.json'",
        ),
        ({"properties": {"a": {"allOf": [{"$ref": "#/b"}]}}}, "refers to"),
        ("{", "the schema is no JSON: it has a fault in its JSON"),
        ("[]", "the schema must be a JSON schema: an object"),
        ([], "the schema must be a JSON schema"),
        (int, "the schema must be a JSON schema"),
    ],
)
def test_a_broken_schema_is_refused(source: Any, expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        Schema(source, "the schema")


def test_references_within_a_schema_are_followed() -> None:
    schema = Schema(
        {
            "$id": "https://example.com/tree",
            "$defs": {"leaf": {"$anchor": "leaf", "type": "string"}},
            "properties": {
                "kids": {"items": {"$ref": "#"}},
                "leaf": {"$ref": "https://example.com/tree#leaf"},
            },
        },
        "the schema",
    )
    assert schema.fault({"kids": [{"kids": []}], "leaf": "green"}) is None
    assert schema.fault({"kids": [{"leaf": 5}]}) == "/kids/0/leaf is not a string"


def test_a_pydantic_class_is_a_schema() -> None:
    class Ticket(BaseModel):
        urgent: bool

    assert Schema(Ticket, "the schema").fault({"urgent": "maybe"}) == "/urgent is not a boolean"


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05.123456789+01:00"],
         ["2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "20260102T030405Z"]),
        ("date", ["2026-01-02"], ["2026-1-2", "2026-02-30"]),
        ("time", ["03:04:05Z"], ["03:04", "25:00:00Z"]),
        ("duration", ["P1D", "PT1H30M", "P1Y2M", "P2W"], ["1D", "P", "PT", "P1H"]),
        ("email", ["a@example.com"], ["a"]),
        ("hostname", ["example.com", "a-b.c"], ["-a.b", "a_b", "a..b", "x" * 64]),
        ("ipv4", ["192.0.2.1"], ["192.0.2.256"]),
        ("ipv6", ["::1"], ["1::2::3"]),
        ("uri", ["https://example.com/a?b#c", "urn:isbn:1"], ["example.com", "https://a b"]),
        ("uuid", ["00000000-0000-4000-8000-000000000000"], ["0"]),
        ("json-pointer", ["", "/a/b~1c"], ["a", "/a~"]),
        ("regex", ["a+"], ["("]),
    ],
)  # fmt: skip
def test_formats_are_checked(form: str, good: list[str], bad: list[str]) -> None:
    schema = Schema({"format": form}, "the schema")
    assert [schema.fault(each) for each in good] == [None] * len(good)
    assert [schema.fault(each) for each in bad] == [f"the value is not of the format {form}"] * len(
        bad
    )
    assert schema.fault(5) is None  # a format speaks of texts


def test_a_place_in_an_answer_is_a_json_pointer_and_is_shown_in_part_when_long() -> None:
    schema = Schema({"additionalProperties": {"type": "null"}}, "the schema")
    assert schema.fault({"a/b~c": 1}) == "/a~1b~0c is not null"
    assert schema.fault({"x" * 500: 1}) == f"/{'x' * 119}… is not null"
