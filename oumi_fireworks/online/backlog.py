"""The rows of one run that nobody works on: those not begun, and those to be tried again."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from oumi_fireworks.money import Usage
from oumi_fireworks.online.tokens import Tokens

__all__ = ["Backlog", "PendingRow"]


@dataclass(slots=True, eq=False)
class PendingRow:
    """One request on its way.

    Attributes:
        index: The caller's number for it.
        order: Its place among all rows that were begun.
        body: What to send.
        most: The most tokens that it can take.
        longest: Tokens that the answer may have, 0 where the request does not say.
        cost: The most tokens that it can be billed for; None where nobody asks.
        failures: How often it failed.
    """

    index: int
    order: int
    body: bytes
    most: Tokens
    longest: int
    cost: Usage | None
    failures: int = 0


class Backlog:
    """Hands out rows: first those whose retry is due, then new ones.

    New ones are begun only while few wait for a retry, so that a service in trouble is not sent
    row after row, and memory stays flat. It belongs to the loop that runs when it is made.

    Args:
        rows: The rows, begun as they are needed.
        patience: How many may wait for a retry before no new one is begun.
    """

    def __init__(self, rows: Iterator[PendingRow], patience: Callable[[], int]) -> None:
        self._rows: Iterator[PendingRow] | None = rows
        self._patience = patience
        # Kept, since asking for the running loop is a system call on Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, PendingRow]] = []

    @property
    def exhausted(self) -> bool:
        """Whether every row was begun."""
        return self._rows is None

    def again(self, row: PendingRow, delay: float) -> None:
        """Put a row back for a retry after so many seconds."""
        due = self._loop.time() + delay
        heapq.heappush(self._waiting, (due, row.order, row))

    async def next(self) -> PendingRow | None:
        """Return the next row to work on, or None when none is left for this worker.

        Rows that others work on may still come back, but then their workers take them again.
        """
        now = self._loop.time()
        if self._waiting and self._waiting[0][0] <= now:
            return heapq.heappop(self._waiting)[2]
        if self._rows is not None and len(self._waiting) < self._patience():
            for row in self._rows:
                return row
            self._rows = None
        if not self._waiting:
            return None
        due, _, row = heapq.heappop(self._waiting)
        await asyncio.sleep(due - now)
        return row
