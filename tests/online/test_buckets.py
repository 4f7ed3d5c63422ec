"""Stated limits as buckets, decision by decision; test_pacer.py runs them in traffic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.online.buckets import ACCOUNT_REQUESTS, Bucket, Buckets, amounts
from oumi_fireworks.online.rate_headers import SILENCE, Kind, RateHeaders, StatedLimit
from oumi_fireworks.online.tokens import NO_TOKENS, Tokens

NEED = amounts(1, Tokens(100, 100, 60))
NOTHING = amounts(0, NO_TOKENS)


def states(kind: Kind, limit: float | None, remaining: float | None = None) -> RateHeaders:
    return RateHeaders((StatedLimit(kind, limit, remaining),))


def test_without_stated_limits_nothing_waits() -> None:
    buckets = Buckets()
    buckets.hear(0.0, 0.0, SILENCE, NOTHING)
    assert not buckets
    assert buckets.spacing(0.0, NEED, NOTHING) == 0.0
    assert buckets.requests_per_second(NEED) == math.inf


def test_an_empty_bucket_is_spent_as_it_refills() -> None:
    bucket = Bucket(36_000.0, 300.0, 0.0, drains=True)
    assert bucket.spacing(0.0, 60.0, 0.0) == pytest.approx(0.1, rel=0.01)


def test_a_full_bucket_is_spent_faster() -> None:
    bucket = Bucket(36_000.0, 36_000.0, 0.0, drains=True)
    assert bucket.spacing(0.0, 60.0, 0.0) < 0.02


def test_what_is_under_way_is_held_back() -> None:
    bucket = Bucket(36_000.0, 3_000.0, 0.0, drains=True)
    assert bucket.spacing(0.0, 60.0, 2_700.0) == pytest.approx(0.1, rel=0.01)
    assert bucket.wait(0.0, 3_600.0) == pytest.approx(1.0)


def test_minutes_of_work_under_way_do_not_stop_the_next() -> None:
    """They will be paid for by what is refilled until they are answered."""
    bucket = Bucket(36_000.0, 36_000.0, 0.0, drains=True)
    assert bucket.wait(0.0, 200_000.0) == 0.0


@pytest.mark.parametrize(
    ("remaining", "level"),
    [(5_000.0, 5_000.0), (1_500.0, 2_000.0), (100.0, 1_100.0)],
    ids=["more than was thought", "as it was thought", "less than was thought"],
)
def test_what_is_stated_brackets_what_is_thought(remaining: float, level: float) -> None:
    """It may be meant with or without the 1,000 tokens that are under way."""
    bucket = Bucket(36_000.0, 2_000.0, 0.0, drains=True)
    bucket.hear(0.0, None, remaining, 1_000.0, age=0.0)
    assert bucket.level(0.0) == level


def test_a_limit_that_shrinks_and_grows_is_followed_at_once() -> None:
    buckets = Buckets()
    buckets.hear(0.0, 0.0, states(Kind.GENERATED, 216_000, 3_000), NOTHING)
    assert buckets.requests_per_second(NEED) == pytest.approx(60)
    buckets.hear(1.0, 0.9, states(Kind.GENERATED, 36_000, 0), NOTHING)
    assert buckets.requests_per_second(NEED) == pytest.approx(10)
    assert buckets.spacing(1.5, NEED, NOTHING) >= 0.09
    buckets.hear(2.0, 1.9, states(Kind.GENERATED, 72_000, 600), NOTHING)
    assert buckets.requests_per_second(NEED) == pytest.approx(20)


def test_answers_overtake_each_other_and_old_limits_are_old_news() -> None:
    buckets = Buckets()
    buckets.hear(1.0, 0.5, states(Kind.GENERATED, 36_000, 600), NOTHING)
    buckets.hear(1.1, 0.1, states(Kind.GENERATED, 216_000, 600), NOTHING)
    assert buckets.requests_per_second(NEED) == pytest.approx(10)


def test_where_tokens_are_limited_requests_are_too() -> None:
    buckets = Buckets()
    buckets.hear(0.0, 0.0, states(Kind.GENERATED, 10**9, 10**9), NOTHING)
    assert buckets.requests_per_second(NEED) == ACCOUNT_REQUESTS / 60


def test_headers_and_the_user_may_raise_and_lower_the_limit_on_requests() -> None:
    for limit in (600.0, 20_000.0):
        by_user = Buckets(limit)
        by_user.hear(0.0, 0.0, states(Kind.GENERATED, 10**9, 10**9), NOTHING)
        by_headers = Buckets()
        by_headers.hear(0.0, 0.0, states(Kind.GENERATED, 10**9, 10**9), NOTHING)
        by_headers.hear(1.0, 1.0, states(Kind.REQUESTS, limit), NOTHING)
        assert by_user.requests_per_second(NEED) == limit / 60
        assert by_headers.requests_per_second(NEED) == limit / 60


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100),
            st.none() | st.floats(1, 1e9),
            st.none() | st.floats(0, 1e9),
            st.floats(0, 1e6),
        ),
        max_size=30,
    )
)
def test_whatever_is_stated_requests_go_on(
    answers: list[tuple[float, float | None, float | None, float]],
) -> None:
    buckets = Buckets()
    now = 0.0
    for seconds, limit, remaining, taken in answers:
        now += seconds
        buckets.hear(now, now, states(Kind.GENERATED, limit, remaining), NEED)
        buckets.take(now, amounts(1, Tokens(generated=taken)))
        assert 0 <= buckets.spacing(now, NEED, NEED) < math.inf
        assert 0 <= buckets.wait(now, NEED) < math.inf
