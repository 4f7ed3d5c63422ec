"""The rate that refusals leave, round by round."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from oumi_fireworks.online.rate import Rate

Refuses = Callable[[float, int], bool]


def drive(rate: Rate, now: float, seconds: float, refuses: Refuses, most: float = 200.0) -> float:
    """Send at the rate; each refusal comes at once. Return the time."""
    end, sent = now + seconds, 0
    while now < end:
        if rate.value < most:
            rate.held()
        round_ = rate.sent(now)
        sent += 1
        if refuses(now, sent):
            rate.refused(now + 0.001, round_, now)
        now += 1 / min(rate.value, most)
    return now


def above(limit: float) -> Refuses:
    """A bucket that refills evenly, and holds ten."""
    level, last = 10.0, 0.0

    def refuses(now: float, _sent: int) -> bool:
        nonlocal level, last
        level, last = min(10.0, level + (now - last) * limit), now
        if level < 1:
            return True
        level -= 1
        return False

    return refuses


def every(nth: int) -> Refuses:
    return lambda _now, sent: sent % nth == 0


def test_without_refusals_there_is_no_limit() -> None:
    rate = Rate()
    drive(rate, 0.0, 10.0, lambda _now, _sent: False)
    assert rate.value == math.inf


@pytest.mark.parametrize("limit", [20.0, 50.0, 120.0])
def test_refusals_of_what_is_too_much_find_the_limit(limit: float) -> None:
    rate = Rate()
    drive(rate, 0.0, 30.0, above(limit))
    assert 0.8 * limit <= rate.value <= 1.15 * limit
    assert rate.noise == 0.0


@pytest.mark.parametrize("nth", [50, 10, 5])
def test_refusals_whatever_the_rate_do_not_cut_it(nth: int) -> None:
    rate = Rate()
    drive(rate, 0.0, 20.0, every(nth))
    assert rate.value == math.inf
    assert rate.noise == pytest.approx(1 / nth, rel=0.3)


def test_one_refusal_proves_nothing() -> None:
    rate = Rate()
    drive(rate, 0.0, 10.0, lambda _now, sent: sent == 500)
    assert rate.value == math.inf


def test_where_nothing_gets_through_a_refusal_says_nothing_about_the_rate() -> None:
    rate = Rate()
    drive(rate, 0.0, 30.0, lambda _now, _sent: True)
    assert rate.value == math.inf


def test_a_limit_that_rises_is_found_out() -> None:
    rate = Rate()
    now = drive(rate, 0.0, 20.0, above(30.0))
    now = drive(rate, now, 60.0, above(150.0))
    assert rate.value >= 100


def test_a_rate_that_holds_back_nobody_does_not_grow() -> None:
    rate = Rate()
    now = drive(rate, 0.0, 20.0, above(50.0))
    before = rate.value
    for _ in range(3000):
        rate.sent(now)
        now += 0.1
    assert rate.value <= before * 1.3
