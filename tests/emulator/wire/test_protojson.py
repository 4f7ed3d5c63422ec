"""Requests are read as proto3 JSON, strictly."""

from __future__ import annotations

import json

import pytest

from oumi_fireworks.emulator.wire.errors import ApiError
from oumi_fireworks.emulator.wire.protojson import Spec, camel, read_message, snake

SPEC: Spec = {
    "displayName": "string",
    "maxTokens": "int32",
    "exampleCount": "int64",
    "topP": "double",
    "public": "bool",
    "userUploaded": "any",
    "filenameToSize": "sizes",
    "nested": {"innerName": "string"},
}


def refusal(body: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        read_message(body, SPEC)
    assert caught.value.status == 400
    answer = json.loads(caught.value.body)
    assert answer["code"] == 3
    assert answer["details"] == []
    return str(answer["message"])


@pytest.mark.parametrize("name", ["exampleCount", "example_count"])
@pytest.mark.parametrize("value", ["12", "12 ", 12, 12.0])
def test_both_spellings_and_both_forms_of_a_number_are_read(name: str, value: object) -> None:
    assert read_message(json.dumps({name: value}).encode(), SPEC) == {"exampleCount": 12}


def test_nested_messages_and_maps_are_read() -> None:
    body = b'{"nested": {"inner_name": "x"}, "filename_to_size": {"a.b_c": "5"}, "topP": 1}'
    assert read_message(body, SPEC) == {
        "nested": {"innerName": "x"},
        "filenameToSize": {"a.b_c": 5},
        "topP": 1.0,
    }


def test_null_means_unset_and_no_body_means_an_empty_message() -> None:
    assert read_message(b'{"displayName": null}', SPEC) == {}
    assert read_message(b"", SPEC) == {}


@pytest.mark.parametrize("name", ["nope", "Example_count", "examplecount", "example_Count"])
def test_an_unknown_field_is_named(name: str) -> None:
    assert f'unknown field "{name}"' in refusal(json.dumps({name: 1}).encode())


def test_an_unknown_field_is_found_within() -> None:
    assert 'unknown field "odd"' in refusal(b'{"nested": {"odd": 1}}')


def test_a_field_given_twice_is_refused() -> None:
    assert "duplicate field" in refusal(b'{"exampleCount": 1, "example_count": 1}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"displayName": 3}',
        b'{"exampleCount": "many"}',
        b'{"exampleCount": 1.5}',
        b'{"exampleCount": true}',
        b'{"exampleCount": "9223372036854775808"}',
        b'{"maxTokens": 2147483648}',
        b'{"topP": "warm"}',
        b'{"public": "yes"}',
        b'{"userUploaded": 1}',
        b'{"filenameToSize": []}',
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(body: bytes) -> None:
    assert "invalid value" in refusal(body)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"{", b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    assert "syntax error" in refusal(body)


def test_names_turn_into_each_other() -> None:
    assert snake("continuedFromJobName") == "continued_from_job_name"
    assert camel("continued_from_job_name") == "continuedFromJobName"
