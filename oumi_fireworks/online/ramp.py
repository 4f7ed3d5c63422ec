"""How fast sending may become faster.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["GENTLE", "SHORT", "Ramp", "Slope"]


@dataclass(frozen=True, slots=True)
class Slope:
    """How steep a ramp is.

    Attributes:
        start: Requests a second that are always allowed.
        factor: How many times the average of late is allowed.
        memory: Seconds over which that average is taken.
    """

    start: float
    factor: float
    memory: float


GENTLE = Slope(start=10.0, factor=2.0, memory=4.0)
"""Where limits are stated: doubles in three seconds. Fireworks shrinks the limits of an account
whose traffic grows too steeply; 50 requests at once were seen to do no harm, 100 were."""

SHORT = Slope(start=200.0, factor=3.0, memory=0.1)
"""Where no answer states a limit: ten times as much in an eighth of a second."""


class Ramp:
    """A ceiling on the rate that follows what was really sent.

    So it begins low, rises while it is used, and is low again after a pause.

    Args:
        slope: How steep it may be.
    """

    def __init__(self, slope: Slope = SHORT) -> None:
        self.slope = slope
        self._average = 0.0
        self._at = 0.0

    def ceiling(self, now: float) -> float:
        """Return the requests a second that are allowed now."""
        self._fade(now)
        return max(self.slope.start, self.slope.factor * self._average)

    def sent(self, now: float) -> None:
        """Count a request."""
        self._fade(now)
        self._average += 1.0 / self.slope.memory

    def _fade(self, now: float) -> None:
        """Bring the average up to now."""
        if now != self._at:
            self._average *= math.exp((self._at - now) / self.slope.memory)
            self._at = now
