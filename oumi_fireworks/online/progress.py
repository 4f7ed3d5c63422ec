"""How far a run is at one moment; what people see of it is in :mod:`oumi_fireworks.display`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal

from oumi_fireworks.money import Prices, Usage

__all__ = ["OnlineProgress", "ProgressMeter", "Waiting"]

RECENT = 10.0
"""Seconds over which the speed is averaged."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What everybody waits for.

    Attributes:
        words: What it is, such as "for the rate limit (429)".
        seconds: For how long already.
    """

    words: str
    seconds: float


@dataclass(frozen=True, slots=True)
class OnlineProgress:
    """How far a run is at one moment.

    Attributes:
        total: Rows in all, or None if that is not known.
        done: Rows that were answered.
        failed: Rows that were given up.
        refusals: Refusals (429) so far; they cost time, not rows.
        under_way: Requests without an answer yet.
        per_second: Rows finished per second, of late.
        waiting: What everybody waits for, or None.
        used: Tokens of the answers so far.
        cost: Dollars for them; None where no price is known.
    """

    total: int | None = None
    done: int = 0
    failed: int = 0
    refusals: int = 0
    under_way: int = 0
    per_second: float = 0.0
    waiting: Waiting | None = None
    used: Usage = Usage()  # noqa: RUF009 - frozen
    cost: Decimal | None = None

    def priced(self, prices: Prices | None) -> OnlineProgress:
        """Return it with what its tokens have cost, as far as prices are known."""
        return self if prices is None else replace(self, cost=prices.cost(self.used))

    @property
    def finished(self) -> int:
        """Rows that are answered or given up."""
        return self.done + self.failed

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at this speed, or None if that is not known."""
        if self.total is None or self.per_second <= 0:
            return None
        return (self.total - self.finished) / self.per_second


class ProgressMeter:
    """Measures the speed of late from how many rows were finished when."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def per_second(self, now: float, finished: int) -> float:
        """Return the rows finished per second over the last seconds, up to now."""
        points = self._points
        points.append((now, finished))
        while len(points) > 2 and points[1][0] <= now - RECENT:
            points.popleft()
        seconds = now - points[0][0]
        return (finished - points[0][1]) / seconds if seconds > 0 else 0.0
