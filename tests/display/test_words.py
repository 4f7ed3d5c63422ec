"""Durations, sizes, money and counts, as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from oumi_fireworks.display.words import dollars, duration, roughly, size, stopwatch


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (90, "2 min"), (3599, "1 h"), (3600, "1 h"),
     (7500, "2 h 5 min"), (86_399, "1 d"), (90_000, "1 d 1 h"), (400_000, "4 d 15 h")],
)  # fmt: skip
def test_durations_are_rounded_as_people_do(seconds: float, text: str) -> None:
    assert roughly(seconds) == text


def test_a_stopwatch_has_hours_minutes_and_seconds() -> None:
    assert [stopwatch(each) for each in (-1, 7.9, 3671, 93_784)] == [
        "0:00:00", "0:00:07", "1:01:11", "26:03:04",
    ]  # fmt: skip


def test_sizes() -> None:
    assert [size(each) for each in (0, 999, 1200, 9_960, 480_000_000, 1_260_000_000, 10**15)] == [
        "0 bytes", "999 bytes", "1.2 kB", "10 kB", "480 MB", "1.3 GB", "1000 TB",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.2 s"),
        (59, "59 s"),
        (60, "1 min"),
        (492, "8 min 12 s"),
        (7_390, "2 h 3 min"),
        (90_000, "1 d 1 h"),
        (-5, "0.0 s"),
    ],
)
def test_a_duration_that_is_over_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (1234.5, "$1,234.50"), (0.0361, "$0.0361"), (0.00001, "<$0.0001")],
)
def test_money(amount: float, text: str) -> None:
    assert dollars(amount) == text
