"""What headers say about limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from oumi_fireworks.online.signals import SILENCE, Signals


def read(**headers: str) -> Signals:
    return Signals.read(CIMultiDict((k.replace("_", "-"), v) for k, v in headers.items()))


def test_no_headers_say_nothing() -> None:
    assert read() == SILENCE


def test_requests_are_stated_by_the_minute_and_tokens_by_the_second() -> None:
    signals = read(
        x_ratelimit_limit_requests="6000",
        x_ratelimit_limit_tokens_prompt="60000",
        x_ratelimit_limit_tokens_generated="600",
    )
    assert (signals.requests, signals.input_tokens, signals.output_tokens) == (100, 60000, 600)


@pytest.mark.parametrize("name", ["X-Ratelimit-Over-Limit", "x-ratelimit-over-limit"])
def test_near_the_limit_by_word(name: str) -> None:
    assert Signals.read(CIMultiDict({name: "Yes"})).near_limit
    assert not Signals.read(CIMultiDict({name: "no"})).near_limit


def test_near_the_limit_by_what_remains() -> None:
    assert read(x_ratelimit_remaining_requests="0").near_limit
    assert not read(x_ratelimit_remaining_requests="1").near_limit


def test_retry_after_is_seconds_or_a_date() -> None:
    assert read(Retry_After="2.5").retry_after == 2.5
    soon = datetime.now(UTC) + timedelta(seconds=90)
    waits = read(Retry_After=format_datetime(soon, usegmt=True)).retry_after
    assert waits is not None
    assert 80 < waits <= 90


@given(st.text())
def test_nonsense_says_nothing(nonsense: str) -> None:
    signals = read(
        x_ratelimit_limit_requests=nonsense,
        x_ratelimit_limit_tokens_prompt=nonsense,
        x_ratelimit_limit_tokens_generated=nonsense,
    )
    for value in (signals.requests, signals.input_tokens, signals.output_tokens):
        assert value is None or 0 < value < float("inf")


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "1e999", ""])
def test_a_limit_that_cannot_be_is_none(value: str) -> None:
    assert read(x_ratelimit_limit_requests=value) == SILENCE
