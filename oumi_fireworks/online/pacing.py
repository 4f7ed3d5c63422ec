"""When the next request may leave: rate, window, ceilings and pauses in one decision.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from oumi_fireworks.online.ceilings import Ceilings, Tokens
from oumi_fireworks.online.rate import Rate
from oumi_fireworks.online.signals import Signals
from oumi_fireworks.online.window import Window

__all__ = ["Leave", "Pacer"]

CATCH_UP = 0.02
"""Seconds of sending that may be made up for, so that late timers do not lower the rate."""

PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds of silence after a refusal without Retry-After; each one in vain doubles it."""

PROBES = 4
"""Requests at most in the length of a pause, while nothing gets through."""

LONGEST_GROWTH = 1.0
"""Seconds between two requests that count as growth at the most: silence proves nothing."""

LATELY = 1.0
"""Seconds over which it is counted what was sent and what was let through."""

AVERAGE = 0.02
"""Weight of one answer in the averages of latency and tokens."""

ROOM = 2.0
"""How many times what a rate and a latency make on average the window holds."""


@dataclass(slots=True, eq=False)
class Leave:
    """Leave to send one request, with what was true when it was given.

    Attributes:
        at: The time.
        rate: Requests per second that were allowed.
        window: Requests at once that were allowed.
        need: Tokens that were set aside.
        place: How many left between the last refusal and this one.
        refused: Whether the service refused it.
    """

    at: float
    rate: float
    window: int
    need: Tokens
    place: int
    refused: bool = False


class Pacer:
    """Decides when requests leave. Every leave ends in exactly one of four ways.

    ``answered``: the service did the work, or said that the request is wrong.
    ``refused``: it said 429. ``failed``: the service or the network is in trouble.
    ``withdrawn``: the request was cancelled.

    Args:
        window: How many requests may be under way.
        ceilings: What the user allows per minute.

    Attributes:
        under_way: Requests that have leave and no answer yet.
        refusals: Requests that were refused so far.
        refused_since: Since when nothing but refusals came, or None.
    """

    def __init__(self, window: Window, ceilings: Ceilings) -> None:
        self.rate = Rate()
        self.window = window
        self.ceilings = ceilings
        self.under_way = 0
        self.refusals = 0
        self.refused_since: float | None = None
        self._turn = -math.inf  # when the last request was due; it may have left later
        self._left_at = -math.inf
        self._held_by_rate = False
        self._lately: deque[Leave] = deque()
        self._burst: int | None = None  # what was let through of it, as far as is known
        self._paused_until = -math.inf
        self._pause = PAUSE
        self._began_at = math.inf
        self._refused_at = -math.inf
        self._in_vain = 0  # refusals since something got through
        self._since_refusal = 0
        self._latency, self._lowest_latency = 0.0, math.inf
        self._average = (0.0, 0.0)  # input and output tokens of a request

    def wait(self, now: float, need: Tokens) -> float:
        """Seconds until a request may leave: 0 for now, infinite if only an answer can tell."""
        if self.under_way >= self.window.size:
            return math.inf
        turn = self._turn + self._spacing() - now
        other = max(self._paused_until - now, self.ceilings.wait(now, need), 0.0)
        if turn > other:
            self._held_by_rate = True
            return turn
        return other

    def leave(self, now: float, need: Tokens) -> Leave:
        """Count a request that leaves now."""
        if self._held_by_rate and self._in_vain <= 1:
            self.rate.grow(now, min(now - self._left_at, LONGEST_GROWTH))
        self._held_by_rate = False
        # What a pause held back is not made up for.
        earliest = now if self._turn <= self._paused_until else now - CATCH_UP
        self._turn = max(self._turn + self._spacing(), earliest)
        self._left_at = now
        leave = Leave(now, self.rate.value, self.window.size, need, self._since_refusal)
        self._since_refusal += 1
        self._began_at = min(self._began_at, now)
        self.under_way += 1
        self.ceilings.sent(now, need)
        self._lately.append(leave)
        while self._lately[0].at < now - LATELY:
            self._lately.popleft()
        return leave

    def answered(self, now: float, leave: Leave, signals: Signals, used: Tokens) -> None:
        """Take note of an answer.

        Args:
            now: The time.
            leave: The request's.
            signals: What its headers said.
            used: What it used, all 0 if the service did not say.
        """
        self.window.answered(now, full=self.under_way >= self.window.size)
        self._settle(now, leave, used)
        self._learn_size(used)
        self._listen(now, leave, signals)
        self.rate.answered(now, near_limit=signals.near_limit)
        self._widen(now - leave.at)
        if leave.at > self._refused_at:
            self._in_vain = 0
            self.refused_since = None

    def refused(self, now: float, leave: Leave, signals: Signals) -> None:
        """Take note of a refusal: send more slowly, and nothing at all for a while.

        Args:
            now: The time.
            leave: The request's.
            signals: What the refusal's headers said.
        """
        self._settle(now, leave, Tokens())
        self._listen(now, leave, signals)
        self.refusals += 1
        leave.refused = True
        self._obey(now, signals)
        let_through = self._let_through(leave)
        begins = leave.at > self._refused_at
        if begins:
            self._begin_refusal(now, leave)
        # Where nothing gets through at any rate, a refusal says nothing about the rate. Of a
        # burst one says all there is to say, unless it was sent at no particular rate: then how
        # many of it are refused tells where the limit is.
        if self._in_vain <= 1 and (begins or math.isinf(leave.rate)):
            pause = self._paused_until - now
            self.rate.refused(now, sent_rate=leave.rate, let_through=let_through, pause=pause)

    def failed(self, now: float, leave: Leave, signals: Signals, *, overloaded: bool) -> None:
        """Take note that no useful answer came.

        Args:
            now: The time.
            leave: The request's.
            signals: What the headers said, where there were any.
            overloaded: Whether it seems that the service has too much to do.
        """
        self._settle(now, leave, leave.need)  # it may have done the work all the same
        if overloaded:
            self.window.failed(now, sent_size=leave.window)
        self._obey(now, signals)

    def withdrawn(self, now: float, leave: Leave) -> None:
        """Take note of a request that was cancelled."""
        self._settle(now, leave, leave.need)

    def _let_through(self, refused: Leave) -> float:
        """Requests per second that got through of late, judged by one that did not."""
        if math.isinf(refused.rate):
            # All that left at no particular rate is one burst, of which each refusal tells more.
            if self._burst is None:
                self._burst = len(self._lately)
            self._burst -= 1
            return max(self._burst, 0) / LATELY
        since = refused.at - max(self._refused_at, self._began_at)
        if since > LATELY:
            return refused.place / since
        return sum(not leave.refused for leave in self._lately) / LATELY

    def _begin_refusal(self, now: float, leave: Leave) -> None:
        """A refusal that is not one of a burst: pause, the longer the more often in vain."""
        first_after_pause = leave.place == 0 and self._in_vain > 0
        self._in_vain = self._in_vain + 1 if first_after_pause else 1
        if not first_after_pause or self.refused_since is None:
            self.refused_since = now
        self._pause = min(PAUSE * 2 ** (self._in_vain - 1), LONGEST_PAUSE)
        self._paused_until = max(self._paused_until, now + self._pause)
        self._refused_at = now
        self._since_refusal = 0

    def _obey(self, now: float, signals: Signals) -> None:
        if signals.retry_after is not None:
            self._paused_until = max(self._paused_until, now + signals.retry_after)

    def _listen(self, now: float, leave: Leave, signals: Signals) -> None:
        """Take the lowest of the limits that the service states, in requests per second."""
        inputs, outputs = self._average
        limit = min(
            signals.requests or math.inf,
            signals.input_tokens / inputs if signals.input_tokens and inputs else math.inf,
            signals.output_tokens / outputs if signals.output_tokens and outputs else math.inf,
        )
        if limit < math.inf:
            self.rate.stated(now, limit, sent_at=leave.at)

    def _settle(self, now: float, leave: Leave, used: Tokens) -> None:
        self.under_way -= 1
        self.ceilings.settled(now, leave.need, used)

    def _widen(self, latency: float) -> None:
        """Let the window hold what the rate brings in while an answer takes (Little's law).

        Only the lowest average latency counts: when more requests at once make the answers
        slower, still more would not make them faster.
        """
        self._latency += (latency - self._latency) * (AVERAGE if self._latency else 1.0)
        self._lowest_latency = min(self._lowest_latency, self._latency)
        if self.rate.value < math.inf:
            self.window.widen(self.rate.value * self._lowest_latency * ROOM)

    def _spacing(self) -> float:
        """Seconds between two requests."""
        even = 1.0 / self.rate.value
        return max(even, self._pause / PROBES) if self._in_vain > 1 else even

    def _learn_size(self, used: Tokens) -> None:
        inputs, outputs = self._average
        weight = AVERAGE if inputs or outputs else 1.0
        self._average = (
            inputs + weight * (used.input - inputs),
            outputs + weight * (used.output - outputs),
        )
