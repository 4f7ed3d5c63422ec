"""What headers say about limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from oumi_fireworks.online.rate_headers import SILENCE, Kind, RateHeaders, StatedLimit


def read(**headers: str) -> RateHeaders:
    return RateHeaders.read(CIMultiDict((k.replace("_", "-"), v) for k, v in headers.items()))


def test_no_headers_say_nothing() -> None:
    assert read() is SILENCE


def test_limits_as_they_were_captured() -> None:
    headers = read(
        X_Ratelimit_Limit_Tokens_Prompt="11250000",
        X_Ratelimit_Remaining_Tokens_Prompt="11249000",
        x_ratelimit_limit_tokens_cache_adjusted_prompt="5400000",
        x_ratelimit_limit_tokens_generated="216000",
        x_ratelimit_remaining_tokens_generated="0",
        x_ratelimit_over_limit="no",
    )
    assert headers.limits == (
        StatedLimit(Kind.PROMPT, 11_250_000, 11_249_000),
        StatedLimit(Kind.UNCACHED, 5_400_000, None),
        StatedLimit(Kind.GENERATED, 216_000, 0),
    )
    assert headers.exhausted


@pytest.mark.parametrize("word", ["yes", "no"])
def test_over_limit_decides_nothing(word: str) -> None:
    assert read(x_ratelimit_over_limit=word) is SILENCE


def test_what_remains_tells_whether_a_limit_explains_a_refusal() -> None:
    assert read(x_ratelimit_remaining_requests="0").exhausted
    assert not read(x_ratelimit_remaining_requests="1").exhausted


@pytest.mark.parametrize(("header", "seconds"), [("2.5", 2.5), ("86400", None), ("-1", None)])
def test_retry_after_is_read_by_the_one_rule(header: str, seconds: float | None) -> None:
    assert read(Retry_After=header).retry_after == seconds


@given(st.text())
def test_nonsense_says_nothing(nonsense: str) -> None:
    for kind in Kind:
        headers = RateHeaders.read(
            {f"x-ratelimit-limit-{kind.value}": nonsense, f"x-ratelimit-remaining-{kind.value}": ""}
        )
        for stated in headers.limits:
            assert stated.limit is not None
            assert 1 <= stated.limit < float("inf")


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "1e999", ""])
def test_a_limit_that_cannot_be_is_none(value: str) -> None:
    assert read(x_ratelimit_limit_requests=value) == SILENCE
