"""Counts of values in little memory."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from oumi_fireworks.report.histogram import MOST_CELLS, Histogram

VALUES = st.lists(st.integers(min_value=0, max_value=10**9), min_size=1)


def filled(values: Iterable[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def test_an_empty_histogram_is_all_zeros() -> None:
    histogram = Histogram()
    assert (histogram.count, histogram.least, histogram.most, histogram.mean) == (0, 0, 0, 0)
    assert histogram.quantile(0.5) == 0
    assert histogram.cells() == []


@settings(deadline=None)
@given(VALUES)
def test_few_different_values_are_counted_exactly(values: list[int]) -> None:
    histogram = filled(values)
    assert dict(histogram.cells()) == {value: values.count(value) for value in values}
    assert histogram.total == sum(values)
    assert (histogram.least, histogram.most) == (min(values), max(values))


@settings(deadline=None)
@given(VALUES, st.floats(min_value=0, max_value=1))
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(
    values: list[int], share: float
) -> None:
    found = filled(values).quantile(share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < max(share * len(values), 1)


def test_many_different_values_take_a_bounded_number_of_cells() -> None:
    histogram = filled(range(0, 300_000, 7))
    starts = [start for start, _ in histogram.cells()]
    assert len(starts) <= MOST_CELLS
    assert sum(count for _, count in histogram.cells()) == histogram.count
    assert abs(histogram.quantile(0.5) - 150_000) <= starts[1] - starts[0]
    assert histogram.most == 299_999 - 299_999 % 7


def test_one_huge_value_does_not_coarsen_the_others() -> None:
    histogram = filled([*range(1000), 10**12])
    assert histogram.cells()[:1000] == [(value, 1) for value in range(1000)]


def test_the_order_of_the_values_does_not_matter() -> None:
    values = [n * n for n in range(6_000)]
    shuffled = random.Random(1).sample(values, len(values))
    assert filled(values).cells() == filled(shuffled).cells()
