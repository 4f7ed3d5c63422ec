"""From a sample to all rows: the sum, and how often the range holds it."""

from __future__ import annotations

import random

import pytest

from oumi_fireworks.money.extrapolate import extrapolate


def test_rows_that_are_all_alike_leave_no_doubt() -> None:
    assert extrapolate([5.0] * 10, 1000) == pytest.approx((5000, 5000, 5000))


def test_no_rows_that_are_left_cost_nothing() -> None:
    assert extrapolate([1.0, 9.0], 0) == (0, 0, 0)


def test_the_same_sample_gives_the_same_range() -> None:
    assert extrapolate([1.0, 2.0, 9.0], 50) == extrapolate([1.0, 2.0, 9.0], 50)


def test_more_rows_in_the_sample_narrow_the_range() -> None:
    few, many = (extrapolate([1.0, 3.0] * half, 10_000) for half in (10, 500))
    assert few.low < many.low < many.likely == 20_000 < many.high < few.high


@pytest.mark.parametrize("rows", [60, 4000])
def test_the_range_holds_the_sum_about_nine_times_of_ten(rows: int) -> None:
    chance = random.Random(rows)
    held = 0
    for _ in range(100):
        values = [chance.expovariate(1 / 300) for _ in range(100 + rows)]
        spread = extrapolate(values[:100], rows)
        held += spread.low <= sum(values[100:]) <= spread.high
    assert 82 <= held <= 97
