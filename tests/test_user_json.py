"""Users' data: any JSON that Oumi reads comes in and goes out with its values."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.user_json import dumps, loads

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(ANY_JSON)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert json.loads(dumps(value, sort_keys=True, indent=True)) == value


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30, 2**63, 2**64 - 1])
def test_no_whole_number_becomes_a_float(number: int) -> None:
    line = json.dumps({"metadata": {"id": number}}).encode()
    assert loads(line) == {"metadata": {"id": number}}
    assert json.loads(dumps(loads(line))) == {"metadata": {"id": number}}


@pytest.mark.parametrize(
    ("written", "read"),
    [(b"NaN", math.nan), (b"Infinity", math.inf), (b"-Infinity", -math.inf), (b"1e400", math.inf)],
)
@pytest.mark.parametrize("beside", [1, 2**70])
def test_a_number_that_json_does_not_have_is_read_and_written_as_null_as_oumi_does(
    written: bytes, read: float, beside: int
) -> None:
    found = loads(b'[%s, "a", %d]' % (written, beside))
    assert found[0] == read or (math.isnan(found[0]) and math.isnan(read))
    assert json.loads(dumps(found)) == [None, "a", beside]


def test_half_of_a_surrogate_pair_stays_an_escape() -> None:
    assert loads(rb'["\ud83d", 1]') == ["\ud83d", 1]
    assert dumps(["\ud83d", "é"]) == rb'["\ud83d","\u00e9"]'


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whichever it is)
        loads(data)
