"""JSON that is not strictly right, and what is made of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.api.lenient_json import json_or_text, lenient_loads

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (rb'"half an emoji \ud83d"', "half an emoji �"),
        (rb'"\ud83d\ude00 whole, \ud83d half"', "😀 whole, � half"),
        (b'"a stray \xff byte"', "a stray � byte"),
        (b"[NaN, Infinity, -Infinity, 1e400, -1e400, 1.5]", [None, None, None, None, None, 1.5]),
        (rb'{"\udc00": NaN, "b": "\xc3"}'.replace(rb"\xc3", b"\xc3"), {"�": None, "b": "�"}),
    ],
)
def test_what_json_does_not_have_is_replaced(data: bytes, value: Any) -> None:
    assert lenient_loads(data) == value


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1', b"<html>", b"[1] 2", b"[" * 5000])
def test_what_is_no_json_is_refused_and_shown_as_text(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        lenient_loads(data)
    assert json_or_text(data) == data.decode()


@given(JSON)
def test_strict_json_is_what_it_is(value: Any) -> None:
    assert lenient_loads(orjson.dumps(value)) == value


@given(st.binary())
def test_whatever_comes_out_can_be_written_as_strict_json(data: bytes) -> None:
    with suppress(ValueError):
        orjson.dumps(lenient_loads(data))
