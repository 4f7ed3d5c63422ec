"""The values of proto3 JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.api.values import (
    duration_at,
    id_of,
    int_at,
    mapping_at,
    objects_at,
    text_at,
    time_at,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-30T03:48:56.029803417Z", datetime(2026, 8, 30, 3, 48, 56, 29803, UTC)),
        ("2026-08-30T03:48:56.029803Z", datetime(2026, 8, 30, 3, 48, 56, 29803, UTC)),
        ("2026-08-30T03:48:56.5Z", datetime(2026, 8, 30, 3, 48, 56, 500_000, UTC)),
        ("2026-08-30T03:48:56Z", datetime(2026, 8, 30, 3, 48, 56, 0, UTC)),
        ("2026-08-30t03:48:56z", datetime(2026, 8, 30, 3, 48, 56, 0, UTC)),
        ("2026-08-30T03:48:56", datetime(2026, 8, 30, 3, 48, 56, 0, UTC)),
        ("2026-08-30T05:48:56.999999999+02:00", datetime(2026, 8, 30, 3, 48, 56, 999_999, UTC)),
        ("2026-08-29T22:18:56-05:30", datetime(2026, 8, 30, 3, 48, 56, 0, UTC)),
    ],
)
def test_a_time_has_its_zone_and_is_cut_to_microseconds(text: str, expected: datetime) -> None:
    found = time_at({"at": text}, "at")
    assert found == expected
    assert found is not None
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value",
    [None, "", "yesterday", 12, "2026-13-30T03:48:56Z", "0001-01-01T00:00:00+23:59", ["2026"], {}],
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert time_at({"at": value}, "at") is None
    assert time_at({}, "at") is None


@given(st.datetimes(), st.integers(0, 999))
def test_every_time_of_nine_digits_is_read(moment: datetime, nanoseconds: int) -> None:
    text = f"{moment.isoformat(timespec='microseconds')}{nanoseconds:03d}Z"
    assert time_at({"at": text}, "at") == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3),
        (3, 3),
        (3.0, 3),
        ("9223372036854775807", 2**63 - 1),
        (None, 0),
        ("", 0),
        ("many", 0),
        ([], 0),
        (float("nan"), 0),
        (float("inf"), 0),
    ],
)
def test_a_number_may_come_as_text_or_not_at_all(value: object, expected: int) -> None:
    assert int_at({"n": value}, "n") == expected
    assert int_at({}, "n") == 0


@given(ANYTHING)
def test_any_value_is_read_as_what_it_should_be(value: Any) -> None:
    raw = {"field": value}
    assert isinstance(int_at(raw, "field"), int)
    assert isinstance(text_at(raw, "field"), str)
    assert isinstance(mapping_at(raw, "field"), dict)
    assert all(isinstance(item, dict) for item in objects_at(raw, "field"))
    assert time_at(raw, "field") is None or isinstance(value, str)


def test_the_id_is_the_end_of_the_name() -> None:
    assert id_of("accounts/a/datasets/d") == "d"
    assert id_of("d") == "d"
    assert id_of("") == ""


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("172800s", 48),
        ("48h", 48),
        ("43200.000s", 12),
        (None, None),
        ("", None),
        ("two days", None),
        ("9" * 400 + "s", None),
        (5, None),
    ],
)
def test_durations_are_read_in_both_ways_that_clients_write_them(
    text: object, hours: int | None
) -> None:
    expected = None if hours is None else timedelta(hours=hours)
    assert duration_at({"maxJobDuration": text}, "maxJobDuration") == expected


def test_a_text_of_the_service_is_one_line() -> None:
    assert text_at({"a": "COMPLETED\noumi-x \u2028 FAILED "}, "a") == "COMPLETED oumi-x FAILED"
