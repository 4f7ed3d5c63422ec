"""Numbers, times and money as the report writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from oumi_fireworks.report.wording import (
    clock,
    compact,
    count,
    moment,
    share,
    state,
)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "0%"),
        (0, 5, "0%"),
        (1, 1_000_000, "<0.1%"),
        (1, 3, "33.3%"),
        (999_999, 1_000_000, ">99.9%"),
        (5, 5, "100%"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (9_999, "9,999"),
        (12_000, "12\xa0k"),
        (12_345, "12.3\xa0k"),
        (456_789, "457\xa0k"),
        (23_456_789, "23.5\xa0M"),
        (7 * 10**12, "7\xa0T"),
    ],
)
def test_large_numbers_are_short(number: int, text: str) -> None:
    assert compact(number) == text


def test_numbers_times_and_states_are_written_for_readers() -> None:
    time = datetime(2026, 11, 1, 16, 3, 22, tzinfo=timezone(timedelta(hours=2)))
    assert count(1234567) == "1,234,567"
    assert moment(time) == "1 Nov 2026, 14:03:22 UTC"
    assert clock(time.astimezone(UTC).replace(tzinfo=None)) == "1 Nov 14:03:22"
    assert state("JOB_STATE_EARLY_STOPPED") == "early stopped"
