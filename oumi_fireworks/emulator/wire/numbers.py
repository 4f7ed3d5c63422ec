"""Numbers that were asked for: whether they are ones that anything can be done with."""

from __future__ import annotations

import math


def is_count(value: object) -> bool:
    """Return whether this is a whole, non-negative number."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_amount(value: object) -> bool:
    """Return whether this is a finite, non-negative number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
