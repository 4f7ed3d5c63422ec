"""One row: the line that goes in, and the line that comes out."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oumi_fireworks.batch import Answer, Failure
from oumi_fireworks.batch.outcomes import AlienLineError, BrokenLineError, parse_line
from oumi_fireworks.batch.requests import Request, RowId, encode_body, encode_row, keep_line

COMPLETION = {
    "id": "c",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}],
}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.integers(0, 10**9), st.dictionaries(st.text(), JSON, max_size=3))
@example(0, {"a": "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r\n", "\u2028": "\\u2028"})
def test_a_row_is_one_line_to_every_reader_and_says_the_same(
    index: int, body: dict[str, Any]
) -> None:
    line = encode_row(Request(index, body))
    assert line.endswith(b"\n")
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == {"custom_id": f"request-{index}", "body": body}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("half an emoji \ud83d", "half an emoji \ufffd"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("two halves \ud83d\ude00", "two halves \U0001f600"),
        ("\ud83d\u2028", "\ufffd\u2028"),
    ],
)
def test_a_lone_surrogate_becomes_a_replacement_character(text: str, expected: str) -> None:
    line = encode_row(Request(3, {"content": text}))
    assert len(line.decode().splitlines()) == 1
    assert orjson.loads(line) == {"custom_id": "request-3", "body": {"content": expected}}


def test_numbers_as_keys_and_numbers_beyond_64_bits_are_sent() -> None:
    assert json.loads(encode_row(Request(0, {"logit_bias": {50256: -100}})))["body"] == {
        "logit_bias": {"50256": -100}
    }
    large = Request(0, {"seed": 2**70})
    assert json.loads(encode_row(large))["body"] == {"seed": 2**70}
    line = encode_row(large)
    keep_line(large, encode_body(large))
    assert encode_row(large) == line


def result(index: int, **fields: Any) -> bytes:
    return orjson.dumps({"custom_id": str(RowId(index)), **fields})


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" \t\r\n"])
def test_a_completion_is_an_answer(end: bytes) -> None:
    outcome = parse_line(result(4, response=COMPLETION) + end, 5)
    assert outcome == Answer(4, COMPLETION)


def test_a_completion_beside_an_empty_error_is_an_answer() -> None:
    assert isinstance(parse_line(result(0, response=COMPLETION, error=None), 1), Answer)


@pytest.mark.parametrize(
    ("fields", "message", "code"),
    [
        ({"error": {"message": "too long", "code": 400}}, "too long", "400"),
        ({"error": {"message": "too long", "code": "X"}}, "too long", "X"),
        ({"error": {"message": "too long"}}, "too long", None),
        ({"error": "in short"}, "in short", None),
        ({"response": {"error": {"message": "inside"}}}, "inside", None),
        ({"response": {"error": "inside"}}, "inside", None),
        ({"response": None, "error": {"message": "both"}}, "both", None),
        ({"error": {"reason": "odd"}}, '{"custom_id":"request-0","error":{"reason":"odd"}}', None),
        ({"error": {"message": 7, "code": [1]}}, '"message":7', None),
        ({"error": {"message": ""}}, '"message":""', None),
        ({"response": {"choices": []}}, "no completion and no error in: ", None),
        ({"response": {"choices": [{}]}}, "no completion and no error in: ", None),
        ({"response": {"choices": [{"message": "text"}]}}, "no completion and no error", None),
        ({"response": {"choices": {"0": {}}}}, "no completion and no error in: ", None),
        ({"response": "text"}, "no completion and no error in: ", None),
        ({"response": None}, "no completion and no error in: ", None),
        ({"error": []}, "no completion and no error in: ", None),
        ({"outcome": "refused"}, '"outcome":"refused"', None),
        ({}, "no completion and no error in: ", None),
    ],
)
def test_every_other_shape_is_a_failure_in_the_service_s_words(
    fields: dict[str, Any], message: str, code: str | None
) -> None:
    outcome = parse_line(result(0, **fields), 1)
    assert isinstance(outcome, Failure)
    assert outcome.index == 0
    assert message in outcome.message
    assert outcome.code == code


def test_what_is_shown_of_a_row_is_short() -> None:
    outcome = parse_line(result(0, error={"reason": "x" * 100_000}), 1)
    assert isinstance(outcome, Failure)
    assert len(outcome.message) < 600


@pytest.mark.parametrize(
    "name",
    [
        "request-5",
        "request-05",
        "request-00",
        "request--1",
        "request-+1",
        "request-1 ",
        " request-1",
        "request-1\n",
        "Request-1",
        "request-",
        "request-1e0",
        "request-\u0661",
        "request-9999999999999999999999",
        "other-1",
        "",
        1,
        None,
        ["request-1"],
        {"request-1": 1},
    ],
)
def test_a_name_that_is_not_one_of_ours_is_alien(name: object) -> None:
    with pytest.raises(AlienLineError):
        parse_line(orjson.dumps({"custom_id": name, "response": COMPLETION}), 5)


@pytest.mark.parametrize("line", [b"null", b"[]", b'"request-0"', b"1", b"{}", b'["custom_id"]'])
def test_json_that_is_no_row_is_alien(line: bytes) -> None:
    with pytest.raises(AlienLineError):
        parse_line(line, 5)


@pytest.mark.parametrize(
    "line", [b"", b"{", b'{"custom_id": "request-0"', b"\x00", b"nonsense", b"{}{}", b"'a'"]
)
def test_what_is_not_json_is_broken(line: bytes) -> None:
    with pytest.raises(BrokenLineError):
        parse_line(line, 5)


def line_with(content: bytes) -> bytes:
    return (
        b'{"custom_id": "request-0", "response": {"choices": [{"message": {"content": "'
        + content
        + b'"}, "logprobs": 0}]}}'
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a\u2028b\u2029c\x85d".encode(), "a\u2028b\u2029c\x85d"),
        (rb"a\u2028b", "a\u2028b"),
        (rb"half an emoji \ud83d", "half an emoji \ufffd"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (b"a stray byte \xff.", "a stray byte \ufffd."),
        (b"a tab\t", None),
    ],
)
def test_odd_letters_do_not_cost_an_answer(raw: bytes, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(BrokenLineError):
            parse_line(line_with(raw), 1)
        return
    outcome = parse_line(line_with(raw), 1)
    assert isinstance(outcome, Answer)
    content = outcome.completion["choices"][0]["message"]["content"]
    assert content == expected
    assert content.encode()


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_number_that_json_does_not_have_does_not_cost_an_answer(number: bytes) -> None:
    line = line_with(b"a").replace(b'"logprobs": 0', b'"logprobs": ' + number)
    outcome = parse_line(line, 1)
    assert isinstance(outcome, Answer)
    assert outcome.completion["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("depth", [100, 254, 900, 1000, 1020, 1024, 1100, 5000])
@pytest.mark.parametrize(
    "template",
    [
        b'{"custom_id": "request-0", "error": {"reason": %s}}',
        b'{"custom_id": "request-0", "error": {"message": %s, "code": %s}}',
        b'{"custom_id": "request-0", "response": %s}',
        b'{"custom_id": %s}',
        b'{"custom_id": "request-0", "half": "\\ud800", "error": %s}',
        b"%s",
    ],
)
def test_no_row_is_nested_too_deeply(depth: int, template: bytes) -> None:
    nested = b"[" * depth + b"]" * depth
    try:
        outcome = parse_line(template.replace(b"%s", nested), 1)
    except (AlienLineError, BrokenLineError):
        return
    assert outcome.index == 0


@given(st.binary())
def test_no_bytes_are_too_odd(line: bytes) -> None:
    with suppress(AlienLineError, BrokenLineError):
        parse_line(line, 5)


@given(JSON)
def test_no_json_is_too_odd(value: Any) -> None:
    line = orjson.dumps({"custom_id": "request-1", "response": value, "error": value})
    assert parse_line(line, 2).index == 1
