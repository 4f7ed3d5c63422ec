"""How long to wait between two looks: short at first, then longer, never in step with others."""

from __future__ import annotations

import random
from dataclasses import dataclass

_JITTER = 0.2
"""Part of a wait by which it is longer or shorter at random."""


@dataclass
class Backoff:
    """Waits that grow by half each time.

    Attributes:
        first: Seconds before the second look.
        bound: Longest wait in seconds.
    """

    first: float
    bound: float

    def __post_init__(self) -> None:
        self._wait = min(self.first, self.bound)

    def next(self) -> float:
        """Return the next wait in seconds, up to a fifth longer or shorter at random."""
        wait = self._wait
        self._wait = min(wait * 1.5, self.bound)
        return wait * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
