"""From a sample of rows to all of them: the sum that is expected, and a range for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

RESAMPLES = 1000
"""How often the sample is drawn anew from itself."""

FEWEST = 2
"""Rows without which there is no range."""

_TAIL = RESAMPLES // 20
"""Resamples at each end that lie outside of a range of 90 %."""


class Spread(NamedTuple):
    """A sum that is not known yet.

    Attributes:
        likely: What is expected.
        low: The lower end of a range of 90 %.
        high: The upper end.
    """

    likely: float
    low: float
    high: float


def extrapolate(sample: Sequence[float], rows: int) -> Spread:
    """Estimate the sum over some rows from the values of others, drawn from the same by chance.

    The range is that of a bootstrap by percentiles (B. Efron, "Bootstrap Methods", 1979): how much
    the mean of the sample changes when the sample is drawn anew from itself, with repetition. The
    sum of the other rows is up to chance as well, the more so the fewer they are, which widens it.

    The same values in the same order give the same range.

    Args:
        sample: A value for each row of the sample, at least :data:`FEWEST`; none below 0.
        rows: How many rows the sum is over; none of them is in the sample.
    """
    size = len(sample)
    mean = sum(sample) / size
    if not rows:
        return Spread(0.0, 0.0, 0.0)
    chance = random.Random(size)  # noqa: S311 - draws rows, hides nothing
    means = sorted(sum(chance.choices(sample, k=size)) / size for _ in range(RESAMPLES))
    wider = (1 + size / rows) ** 0.5
    low, high = (mean + (means[place] - mean) * wider for place in (_TAIL, -_TAIL - 1))
    return Spread(mean * rows, max(0.0, low) * rows, high * rows)
