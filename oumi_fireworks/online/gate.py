"""Where requests wait for their permit: the pacer's decisions, carried out on a loop."""

from __future__ import annotations

import asyncio
import heapq
import math

from oumi_fireworks.online.pacer import Pacer, Permit
from oumi_fireworks.online.rate_headers import RateHeaders
from oumi_fireworks.online.tokens import Tokens

__all__ = ["Gate"]


class Gate:
    """A queue in front of the service. Whoever began earlier goes first.

    It belongs to the loop that runs when it is made. Time is the loop's.

    Args:
        pacer: Decides when the first in the queue may go.
    """

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer
        self._queue: list[tuple[int, int, Tokens, asyncio.Future[Permit]]] = []
        self._timer: asyncio.TimerHandle | None = None
        # Kept, since asking for the running loop is a system call on Python 3.11.
        self._loop = asyncio.get_running_loop()

    async def enter(self, order: int, size: int, most: Tokens) -> Permit:
        """Wait for permission to send.

        Args:
            order: The place in the queue: unique, and lower goes first.
            size: Bytes of the request.
            most: The most tokens that it can take.
        """
        now = self._loop.time()
        if not self._queue and self.pacer.wait(now, size, most) <= 0:
            return self.pacer.leave(now, size, most)
        future: asyncio.Future[Permit] = self._loop.create_future()
        heapq.heappush(self._queue, (order, size, most, future))
        self._admit()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.withdrawn(future.result())
            raise

    def began(self, permit: Permit, headers: RateHeaders) -> None:
        """See :meth:`Pacer.began`."""
        self.pacer.began(self._loop.time(), permit, headers)
        self._admit()

    def answered(self, permit: Permit, headers: RateHeaders, used: Tokens) -> None:
        """See :meth:`Pacer.answered`."""
        self.pacer.answered(self._loop.time(), permit, headers, used)
        self._admit()

    def refused(self, permit: Permit, headers: RateHeaders) -> None:
        """See :meth:`Pacer.refused`."""
        self.pacer.refused(self._loop.time(), permit, headers)
        self._admit()

    def failed(self, permit: Permit, headers: RateHeaders, *, overloaded: bool) -> None:
        """See :meth:`Pacer.failed`."""
        now = self._loop.time()
        self.pacer.failed(now, permit, headers, overloaded=overloaded)
        self._admit()

    def starting(self, permit: Permit) -> None:
        """See :meth:`Pacer.starting`."""
        self.pacer.starting(self._loop.time(), permit)
        self._admit()

    def withdrawn(self, permit: Permit) -> None:
        """See :meth:`Pacer.withdrawn`."""
        self.pacer.withdrawn(self._loop.time(), permit)
        self._admit()

    def _admit(self) -> None:
        """Let as many go as may now, and come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            _, size, most, future = self._queue[0]
            if future.done():  # it was cancelled while it waited
                heapq.heappop(self._queue)
                continue
            now = self._loop.time()
            wait = self.pacer.wait(now, size, most)
            if wait > 0:
                if wait < math.inf:
                    self._timer = self._loop.call_at(now + wait, self._admit)
                return
            heapq.heappop(self._queue)
            future.set_result(self.pacer.leave(now, size, most))
