"""How fast sending may become faster."""

from __future__ import annotations

import pytest

from oumi_fireworks.online.ramp import GENTLE, SHORT, Ramp, Slope


def climb(ramp: Ramp, now: float, rate: float) -> float:
    """Send as fast as the ramp allows until it allows a rate; return the seconds it took."""
    began = now
    while ramp.ceiling(now) < rate:
        ramp.sent(now)
        now += 1 / ramp.ceiling(now)
    return now - began


@pytest.mark.parametrize(
    ("slope", "soonest", "latest"),
    [(GENTLE, 5.0, 20.0), (SHORT, 0.0, 0.3)],
    ids=["gentle", "short"],
)
def test_it_begins_low_and_rises_while_it_is_used(
    slope: Slope, soonest: float, latest: float
) -> None:
    ramp = Ramp(slope)
    assert ramp.ceiling(0.0) == slope.start
    assert soonest <= climb(ramp, 0.0, slope.start * 10) <= latest


def test_it_does_not_rise_while_nobody_uses_it() -> None:
    ramp = Ramp(GENTLE)
    for second in range(100):
        ramp.sent(float(second))
    assert ramp.ceiling(100.0) == GENTLE.start


def test_it_is_low_again_after_a_pause_but_not_after_a_breath() -> None:
    ramp = Ramp(GENTLE)
    now = climb(ramp, 0.0, 100.0)
    assert ramp.ceiling(now + 0.5) > 80
    assert ramp.ceiling(now + 60.0) == GENTLE.start
