"""Where requests wait for their leave: the pacer's decisions, carried out on a loop."""

from __future__ import annotations

import asyncio
import heapq
import math

from oumi_fireworks.online.ceilings import Tokens
from oumi_fireworks.online.pacing import Leave, Pacer
from oumi_fireworks.online.signals import Signals

__all__ = ["Gate"]


class Gate:
    """A queue in front of the service. Whoever began earlier goes first.

    Use it on one loop at a time. Time is the loop's.

    Args:
        pacer: Decides when the first in the queue may go.
    """

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer
        self._queue: list[tuple[int, Tokens, asyncio.Future[Leave]]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, order: int, need: Tokens) -> Leave:
        """Wait for leave to send.

        Args:
            order: The place in the queue: unique, and lower goes first.
            need: Tokens to set aside.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._queue and self.pacer.wait(now, need) <= 0:
            return self.pacer.leave(now, need)
        future: asyncio.Future[Leave] = loop.create_future()
        heapq.heappush(self._queue, (order, need, future))
        self._admit()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.withdrawn(future.result())
            raise

    def answered(self, leave: Leave, signals: Signals, used: Tokens) -> None:
        """See :meth:`Pacer.answered`."""
        self.pacer.answered(asyncio.get_running_loop().time(), leave, signals, used)
        self._admit()

    def refused(self, leave: Leave, signals: Signals) -> None:
        """See :meth:`Pacer.refused`."""
        self.pacer.refused(asyncio.get_running_loop().time(), leave, signals)
        self._admit()

    def failed(self, leave: Leave, signals: Signals, *, overloaded: bool) -> None:
        """See :meth:`Pacer.failed`."""
        now = asyncio.get_running_loop().time()
        self.pacer.failed(now, leave, signals, overloaded=overloaded)
        self._admit()

    def withdrawn(self, leave: Leave) -> None:
        """See :meth:`Pacer.withdrawn`."""
        self.pacer.withdrawn(asyncio.get_running_loop().time(), leave)
        self._admit()

    def _admit(self) -> None:
        """Give leave to as many as may go now, and come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue:
            _, need, future = self._queue[0]
            if future.done():  # it was cancelled while it waited
                heapq.heappop(self._queue)
                continue
            now = loop.time()
            wait = self.pacer.wait(now, need)
            if wait > 0:
                if wait < math.inf:
                    self._timer = loop.call_at(now + wait, self._admit)
                return
            heapq.heappop(self._queue)
            future.set_result(self.pacer.leave(now, need))
