"""How many requests to have under way at once.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

import math

__all__ = ["Window"]

OPENING = 32
"""Requests at once until the first answer."""

OPENING_SOUGHT = 64
"""Where a window begins then that has to find its size."""

OPENING_GROWTH, TRIAL_GROWTH = 1.0, 0.5
"""Requests that each answer adds where the size is sought: the window doubles with each round at
first, and later, when it is tried whether a larger one pays, grows by half."""

GAIN = 0.3
"""More requests at once pay if the answers per second grow by this part of their growth."""

HOLD, LONGEST_HOLD = 20.0, 320.0
"""Seconds to stay at a size that proved large enough; each trial in vain doubles it."""

CUT = 0.7
"""What is left of the window when the service is in trouble."""

TROUBLE = 0.1
"""The share of recent answers that must be failures for a cut: one bad row is not trouble."""

MEMORY = 0.95
"""How much the share of failures keeps with each answer: about the last twenty count."""

FLOOR = 1 / 8
"""The part of its largest size that cuts leave: rows that fail wait anyway before they retry."""

REPAIR = 0.25
"""Requests that each answer adds after a cut."""


class Window:
    """The number of requests that may be under way at once.

    With a size given it is that size from the first answer on, and if it is adaptive it shrinks
    while the service has too much to do (5xx, timeouts) and comes back. Without one it doubles
    in the time that an answer takes, for as long as that brings more answers a second, then
    stays and tries again later. It grows only while it is what holds requests back.

    Args:
        ceiling: The most requests at once, 1 or more.
        seek: Find the size, at most ``ceiling``.
        adaptive: Shrink while the service is in trouble.
    """

    def __init__(self, ceiling: int, *, seek: bool = False, adaptive: bool = True) -> None:
        self._ceiling = float(ceiling)
        self._adaptive = adaptive
        self._exact = min(self._ceiling, float(OPENING))
        self._largest = min(self._ceiling, float(OPENING_SOUGHT)) if seek else self._ceiling
        self._is_open = self._was_cut = False
        self._trouble = 0.0
        self._seek = _Seek() if seek else None

    @property
    def size(self) -> int:
        """Requests that may be under way at once, at least 1."""
        return int(self._exact)

    def open(self) -> None:
        """Take note that the service works."""
        if not self._is_open:
            self._is_open = True
            self._exact = self._largest

    def answered(self, now: float, *, full: bool) -> None:
        """Take note of an answer, even a refusal: the service works.

        Args:
            now: The time.
            full: Whether the window was what held further requests back.
        """
        self._trouble *= MEMORY
        if not self._is_open:
            self.open()
        elif self._seek is not None:
            self._resize(self._seek.size_after_answer(now, self._exact, full=full))
        elif full:
            self._resize(self._exact + REPAIR)

    def failed(self, now: float, *, sent_size: int) -> None:
        """Take note that the service has too much to do: 408, 5xx, a timeout.

        Args:
            now: The time.
            sent_size: ``size`` when the failed request was sent. Failures of one moment cut once.
        """
        self._trouble = self._trouble * MEMORY + (1 - MEMORY)
        if not self._adaptive or self._trouble < TROUBLE:
            return
        cut = max(1.0, self._largest * FLOOR, sent_size * CUT)
        if cut < self._exact:
            self._exact = cut
            self._trouble = 0.0
            self._is_open = self._was_cut = True
            if self._seek is not None:
                self._seek.settle(now)

    def widen(self, size: float) -> None:
        """Make room for this many at once, if the window is still looking for its size."""
        if self._seek is not None and not self._was_cut:
            self._resize(max(self._exact, size))

    def _resize(self, size: float) -> None:
        self._exact = min(size, self._ceiling)
        self._largest = max(self._largest, self._exact)


class _Seek:
    """The search for a size: rounds of growth, each compared with the one before.

    A round is as many answers as the window was large when it began.
    """

    def __init__(self) -> None:
        self._growth = OPENING_GROWTH  # requests that each answer of the round adds
        self._hold = HOLD
        self._hold_until = -math.inf
        self._throughput: float | None = None  # answers per second of the round before
        self._began = self._size = self._answers = 0.0

    def size_after_answer(self, now: float, size: float, *, full: bool) -> float:
        """Return the window after one more answer."""
        if now < self._hold_until:
            return size
        if not full:
            self._throughput, self._answers = None, 0.0
            return size
        if not self._answers:
            self._began, self._size = now, size
        self._answers += 1
        if self._answers <= self._size:
            return size + self._growth
        throughput = (self._answers - 1) / max(now - self._began, 1e-9)
        before, self._throughput, self._answers = self._throughput, throughput, 0.0
        if before is not None and throughput < before * (1 + GAIN * self._growth):
            self._hold = min(self._hold * 2, LONGEST_HOLD)
            self.settle(now)
            return self._size
        self._growth = self._growth or TRIAL_GROWTH
        self._hold = HOLD
        return size

    def settle(self, now: float) -> None:
        """Stay at the size that there is for a while; then measure, then try a larger one."""
        self._hold_until = now + self._hold
        self._throughput, self._answers, self._growth = None, 0.0, 0.0
