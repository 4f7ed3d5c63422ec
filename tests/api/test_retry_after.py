"""How long a service asks to be left alone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.api.retry_after import read_retry_after

DATE = "Sun, 30 Aug 2026 03:48:56 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("12", 12.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("89", 60.0),
        ("3600", 60.0),
        ("Sun, 30 Aug 2026 03:49:16 GMT", 20.0),
        ("Sun, 30 Aug 2026 05:49:16 +0200", 20.0),
        ("Sun, 30 Aug 2026 03:49:16 -0000", 20.0),
        ("Sun, 30 Aug 2026 04:48:56 GMT", 60.0),
    ],
)
def test_it_is_seconds_or_a_date_and_a_minute_at_most(header: str, seconds: float) -> None:
    assert read_retry_after({"Retry-After": header, "Date": DATE}) == seconds


@pytest.mark.parametrize(
    "header",
    [
        "",
        "soon",
        "-3",
        "nan",
        "inf",
        "1e999",
        "86400",
        "604800",
        "Sun, 30 Aug 2026 03:47:56 GMT",
        "Tue, 01 Sep 2026 03:48:56 GMT",
        "Sun, 99 Aug 2026 03:49:56 GMT",
    ],
)
def test_nonsense_is_ignored_with_a_debug_line(
    header: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="oumi_fireworks")
    assert read_retry_after({"Retry-After": header, "Date": DATE}) is None
    assert f"Retry-After: {header!r}" in caplog.text


def test_without_the_header_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="oumi_fireworks")
    assert read_retry_after({"Date": DATE}) is None
    assert not caplog.messages


@pytest.mark.parametrize("date", [None, "half past nine"])
def test_a_date_counts_from_here_where_the_answer_does_not_say_when_it_was_sent(
    date: str | None,
) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    headers = {"Retry-After": soon} if date is None else {"Retry-After": soon, "Date": date}
    seconds = read_retry_after(headers)
    assert seconds is not None
    assert 20 < seconds <= 30


@given(st.text(), st.text())
def test_no_header_is_too_odd(header: str, date: str) -> None:
    seconds = read_retry_after({"Retry-After": header, "Date": date})
    assert seconds is None or 0 <= seconds <= 60
