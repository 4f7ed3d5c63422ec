"""When the next request may leave: all deciders in one decision.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from oumi_fireworks.online.buckets import ACCOUNT_REQUESTS, Buckets, amounts
from oumi_fireworks.online.ceilings import Ceilings
from oumi_fireworks.online.ramp import GENTLE, Ramp
from oumi_fireworks.online.rate import Rate, Round
from oumi_fireworks.online.rate_headers import Kind, RateHeaders
from oumi_fireworks.online.standstill import OVERLOADED, RATE_LIMIT, STARTING, Cause, Standstill
from oumi_fireworks.online.tokens import NO_TOKENS, TokenEstimate, Tokens
from oumi_fireworks.online.window import Window

__all__ = ["Pacer", "Permit"]

CATCH_UP = 0.02
"""Seconds of sending that may be made up for, so that late timers do not lower the rate."""

IN_A_ROW = 3
"""Refusals of requests that were sent one after another which show that nothing gets through."""

UNLIKELY = 1e-7
"""How unlikely a row of refusals must be where some are refused whatever the rate."""

REMEMBERED = 64
"""Refusals of which it is remembered when their requests were sent."""

AVERAGE = 0.02
"""Weight of one answer in the average latency."""

ROOM = 2.0
"""How many times what a rate and a latency make on average the window holds."""

_ONE_REQUEST = amounts(1, NO_TOKENS)


@dataclass(slots=True, eq=False)
class Permit:
    """Permission to send one request, with what was true when it was given.

    Attributes:
        at: The time.
        size: Bytes of the request.
        most: Tokens that were set aside for it under the user's ceilings.
        window: Requests at once that were allowed.
        place: How many had left before it.
        round: What was sent at the same rate.
        is_probe: Whether everybody else waits for what becomes of it.
    """

    at: float
    size: int
    most: Tokens
    window: int
    place: int
    round: Round
    is_probe: bool


class Pacer:
    """Decides when requests leave. Every permit ends in exactly one of five ways.

    ``answered``: the service did the work, or said that the request is wrong.
    ``refused``: it said 429. ``failed``: the service or the network is in trouble.
    ``starting``: the deployment is not up yet. ``withdrawn``: the request was cancelled.

    Args:
        window: How many requests may be under way.
        ceilings: What the user allows per minute.
        account_requests: Requests a minute that the account may make where tokens are limited.

    Attributes:
        under_way: Requests that have a permit and no answer yet.
    """

    def __init__(
        self, window: Window, ceilings: Ceilings, account_requests: float = ACCOUNT_REQUESTS
    ) -> None:
        self.window = window
        self.ceilings = ceilings
        self.buckets = Buckets(account_requests)
        self.rate = Rate()
        self.standstill = Standstill()
        self.under_way = 0
        self._ramp = Ramp()
        self._estimate = TokenEstimate()
        self._size_under_way = 0
        self._turn = -math.inf  # when the last request was due; it may have left later
        self._places = 0
        self._refused_places: deque[int] = deque(maxlen=REMEMBERED)
        self._latency, self._lowest_latency = 0.0, math.inf

    def wait(self, now: float, size: int, most: Tokens) -> float:
        """Return the seconds until a request may leave.

        They are 0 for now, and infinite if only an answer can tell.

        Args:
            now: The time.
            size: Bytes of the request.
            most: The most tokens that it can take.
        """
        if self.under_way >= self.window.size:
            return math.inf
        standstill = self.standstill
        if standstill.cause and (wait := standstill.wait(now, self.rate.grace)) > 0:
            return wait
        wait = max(self.ceilings.wait(now, most), self._turn + self._spacing(now, size) - now)
        if self.buckets and standstill.cause is None:
            wait = max(wait, self.buckets.wait(now, self._amounts_under_way()))
        return max(wait, 0.0)

    def leave(self, now: float, size: int, most: Tokens) -> Permit:
        """Count a request that leaves now."""
        self._turn = max(self._turn + self._spacing(now, size), now - CATCH_UP)
        is_probe = self.standstill.sent(now)
        round_ = Round(self.rate.value, now) if is_probe else self.rate.sent(now)
        permit = Permit(now, size, most, self.window.size, self._places, round_, is_probe)
        self._places += 1
        self.under_way += 1
        self._size_under_way += size
        self._ramp.sent(now)
        self.ceilings.sent(now, most)
        if self.buckets:
            self.buckets.take(now, _ONE_REQUEST)
        return permit

    def began(self, now: float, permit: Permit, headers: RateHeaders) -> None:
        """Take note that an answer begins: it is let through, and will take its time."""
        self.window.open()
        self.hear(now, permit, headers)
        if permit.is_probe:
            self.standstill.end(now)

    def answered(self, now: float, permit: Permit, headers: RateHeaders, used: Tokens) -> None:
        """Take note of an answer.

        Args:
            now: The time.
            permit: The request's.
            headers: What the answer's said.
            used: What it took, all 0 if the service did not say.
        """
        self.window.answered(now, full=self.under_way >= self.window.size)
        self._settle(now, permit, used)
        if self.buckets:
            self.buckets.take(now, amounts(0, used))
        self._estimate.learn(permit.size, used)
        self.hear(now, permit, headers)
        self._widen(now - permit.at, permit.size)
        if permit.is_probe:
            self.standstill.end(now)

    def hear(self, now: float, permit: Permit, headers: RateHeaders) -> None:
        """Take note of what the head of an answer says about limits."""
        if not headers.limits:
            return
        self.buckets.hear(now, permit.at, headers, self._amounts_under_way())
        if self._ramp.slope is not GENTLE and any(
            stated.kind is not Kind.REQUESTS for stated in headers.limits
        ):
            self._ramp = Ramp(GENTLE)

    def refused(self, now: float, permit: Permit, headers: RateHeaders) -> None:
        """Take note of a refusal.

        It says something about the rate only where no stated limit explains it, and only
        together with others: some services refuse a share whatever the rate. If nothing gets
        through, or the service asks for it, everybody waits.

        Args:
            now: The time.
            permit: The request's.
            headers: What the refusal's said.
        """
        self._settle(now, permit, NO_TOKENS)
        self.hear(now, permit, headers)
        if permit.is_probe:
            self.standstill.probe_failed(now, RATE_LIMIT, headers.retry_after)
            return
        if not headers.exhausted:
            self.rate.refused(now, permit.round, permit.at)
        self._refused_places.append(permit.place)
        if self.standstill.cause is not None:
            return
        heeded = headers.retry_after is not None and self.standstill.heeds and not self.rate.noise
        if heeded or self._nothing_gets_through(permit):
            self._stand_still(now, RATE_LIMIT, headers.retry_after)

    def failed(self, now: float, permit: Permit, headers: RateHeaders, *, overloaded: bool) -> None:
        """Take note that no useful answer came.

        Args:
            now: The time.
            permit: The request's.
            headers: What the headers said, where there were any.
            overloaded: Whether it seems that the service has too much to do.
        """
        self._lost(now, permit)
        if overloaded:
            self.window.failed(now, sent_size=permit.window)
        if permit.is_probe:
            self.standstill.probe_failed(now, OVERLOADED, headers.retry_after)
        elif headers.retry_after and self.standstill.heeds and self.standstill.cause is None:
            self._stand_still(now, OVERLOADED, headers.retry_after)

    def starting(self, now: float, permit: Permit) -> None:
        """Take note that the deployment is starting, and takes no requests yet."""
        self._settle(now, permit, NO_TOKENS)
        if permit.is_probe:
            self.standstill.probe_failed(now, STARTING)
        elif self.standstill.cause is None:
            self._stand_still(now, STARTING)

    def withdrawn(self, now: float, permit: Permit) -> None:
        """Take note of a request that was cancelled."""
        self._lost(now, permit)
        if permit.is_probe:
            self.standstill.probe_withdrawn(now)

    def _spacing(self, now: float, size: int) -> float:
        """Return the seconds from the last request to this one."""
        by_rate = 1.0 / self.rate.value
        spacing = max(by_rate, 1.0 / self._ramp.ceiling(now))
        if self.buckets:
            need = amounts(1, self._estimate.of(1, size))
            spacing = max(spacing, self.buckets.spacing(now, need, self._amounts_under_way()))
        if spacing <= by_rate:
            self.rate.held()
        return spacing

    def _amounts_under_way(self) -> dict[Kind, float]:
        return amounts(0, self._estimate.of(self.under_way, self._size_under_way))

    def _lost(self, now: float, permit: Permit) -> None:
        """Count a request that may have been worked on, nobody knows with how many tokens."""
        self._settle(now, permit, permit.most)
        if self.buckets:
            self.buckets.take(now, amounts(0, self._estimate.of(1, permit.size)))

    def _settle(self, now: float, permit: Permit, used: Tokens) -> None:
        """Count a request that is no longer under way, against the user's ceilings."""
        self.under_way -= 1
        self._size_under_way -= permit.size
        self.ceilings.settled(now, permit.most, used)

    def _stand_still(self, now: float, cause: Cause, advised: float | None = None) -> None:
        self.rate.judge_now(now)
        self._refused_places.clear()
        self.standstill.begin(now, cause, advised)

    def _nothing_gets_through(self, refused: Permit) -> bool:
        """Tell whether all requests that were sent around a refused one were refused."""
        if not self.under_way and not self.rate.noise:
            return True
        needed = IN_A_ROW
        if self.rate.noise:
            needed = max(needed, math.ceil(math.log(UNLIKELY) / math.log(self.rate.noise)))
        places = set(self._refused_places)
        first = last = refused.place
        while first - 1 in places:
            first -= 1
        while last + 1 in places:
            last += 1
        return last - first + 1 >= needed

    def _widen(self, latency: float, size: int) -> None:
        """Let the window hold what the rate brings in while an answer takes (Little's law).

        Only the lowest average latency counts: when more requests at once make the answers
        slower, still more would not make them faster.
        """
        self._latency += (latency - self._latency) * (AVERAGE if self._latency else 1.0)
        self._lowest_latency = min(self._lowest_latency, self._latency)
        rate = self.rate.value
        if self.buckets:
            need = amounts(1, self._estimate.of(1, size))
            rate = min(rate, self.buckets.requests_per_second(need))
        if rate < math.inf:
            self.window.widen(rate * self._lowest_latency * ROOM)
