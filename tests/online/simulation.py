"""A service and a client in simulated time: the pacer decides, nothing sleeps."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from oumi_fireworks.online.ceilings import Ceilings
from oumi_fireworks.online.pacer import Pacer, Permit
from oumi_fireworks.online.rate_headers import SILENCE, Kind, RateHeaders, StatedLimit
from oumi_fireworks.online.tokens import NO_TOKENS, Tokens
from oumi_fireworks.online.window import Window

Limit = Callable[[float], float]
"""Requests per second that are let through, at a moment."""

SIZE = 400
"""Bytes of a request."""


class Limiter(Protocol):
    """Decides what is let through, and says what it likes about it."""

    def admits(self, now: float) -> bool: ...

    def answered(self, now: float, tokens: float) -> None: ...

    def headers(self, now: float, *, refused: bool) -> RateHeaders: ...


class Silent:
    """States nothing, and lets everything through."""

    def admits(self, now: float) -> bool:
        return True

    def answered(self, now: float, tokens: float) -> None:
        pass

    def headers(self, now: float, *, refused: bool) -> RateHeaders:
        return SILENCE


class FixedWindows(Silent):
    """Counts by windows that begin with the clock's."""

    def __init__(self, limit: Limit, window: float = 1.0) -> None:
        self._limit, self._window = limit, window
        self._current, self._used = -1, 0

    def admits(self, now: float) -> bool:
        current = int(now // self._window)
        if current != self._current:
            self._current, self._used = current, 0
        if self._used >= max(1, round(self._limit(now) * self._window)):
            return False
        self._used += 1
        return True


class SlidingWindow(Silent):
    """Counts over the last second at every moment."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._admitted: deque[float] = deque()

    def admits(self, now: float) -> bool:
        while self._admitted and self._admitted[0] <= now - 1.0:
            self._admitted.popleft()
        if len(self._admitted) >= max(1, round(self._limit(now))):
            return False
        self._admitted.append(now)
        return True


class RequestBucket(Silent):
    """Refills evenly, and holds a small burst."""

    def __init__(self, limit: Limit, burst: float = 10.0) -> None:
        self._limit, self._burst = limit, burst
        self._level, self._at = burst, 0.0

    def admits(self, now: float) -> bool:
        refill = (now - self._at) * self._limit(now)
        self._level, self._at = min(self._burst, self._level + refill), now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Stating:
    """Lets another limiter decide, and states a limit on requests."""

    def __init__(self, limiter: Limiter, limit: Limit) -> None:
        self._limiter, self._limit = limiter, limit

    def admits(self, now: float) -> bool:
        return self._limiter.admits(now)

    def answered(self, now: float, tokens: float) -> None:
        self._limiter.answered(now, tokens)

    def headers(self, now: float, *, refused: bool) -> RateHeaders:
        limit = StatedLimit(Kind.REQUESTS, self._limit(now) * 60, 0.0 if refused else None)
        return RateHeaders((limit,), self._limiter.headers(now, refused=refused).retry_after)


class Advising:
    """Lets another limiter decide, and sends ``Retry-After`` with its refusals."""

    def __init__(self, limiter: Limiter, seconds: float) -> None:
        self._limiter, self._seconds = limiter, seconds
        self.admits, self.answered = limiter.admits, limiter.answered

    def headers(self, now: float, *, refused: bool) -> RateHeaders:
        stated = self._limiter.headers(now, refused=refused)
        return RateHeaders(stated.limits, self._seconds) if refused else stated


class AtRandom(Silent):
    """Refuses a share of what comes, whatever the rate."""

    def __init__(self, share: float, seed: int = 1) -> None:
        self._share, self._chance = share, random.Random(seed)

    def admits(self, now: float) -> bool:
        return self._chance.random() >= self._share


class Closed(Silent):
    """Refuses everything until a moment."""

    def __init__(self, until: float, begin: float = 0.0) -> None:
        self._begin, self._until = begin, until

    def admits(self, now: float) -> bool:
        return not self._begin <= now < self._until


class AdaptiveTokens:
    """Generated tokens a minute, as Fireworks limits them.

    The limit grows while it is used and shrinks to a sixth when traffic grows too steeply: more
    requests in a second than both ``burst`` and three times the average of the ten seconds
    before.

    Attributes:
        shrunk: How often it shrank because of the client.
        granted: Tokens that a client would have got that always took all there was.
    """

    def __init__(
        self,
        limit: float = 36_000.0,
        most: float = 216_000.0,
        doubles_in: float = 15.0,
        burst: int = 60,
        cut_at: float = math.inf,
    ) -> None:
        self.limit, self._most, self._doubles_in, self._burst = limit, most, doubles_in, burst
        self._least = limit
        self.level = limit
        self.granted = limit
        self.shrunk = 0
        self._at = 0.0
        self._cut_at = cut_at
        self._came: deque[float] = deque()
        self._used: deque[tuple[float, float]] = deque()

    def _advance(self, now: float) -> None:
        while self._at < now:
            step = min(0.05, now - self._at)
            self._at += step
            if self._at >= self._cut_at:
                self._cut_at = math.inf
                self.limit = max(self.limit / 6, self._least / 6)
                self.level = min(self.level, self.limit)
            while self._used and self._used[0][0] < self._at - 5.0:
                self._used.popleft()
            used = sum(tokens for _, tokens in self._used) / 5.0
            self.granted += self.limit / 60 * step
            if used >= 0.7 * self.limit / 60 or self._at < 5.0:
                self.limit = min(self._most, self.limit * 2 ** (step / self._doubles_in))
            self.level = min(self.limit, self.level + self.limit / 60 * step)

    def admits(self, now: float) -> bool:
        self._advance(now)
        self._came.append(now)
        while self._came[0] < now - 11.0:
            self._came.popleft()
        last = sum(1 for at in self._came if at > now - 1.0)
        before = len(self._came) - last
        if last > max(self._burst, 3 * before / 10):
            self.limit = max(self._least, self.limit / 6)
            self.level = min(self.level, self.limit)
            self.shrunk += 1
            self._came.clear()
            return False
        return self.level > 0

    def answered(self, now: float, tokens: float) -> None:
        self._advance(now)
        self.level -= tokens
        self._used.append((now, tokens))

    def headers(self, now: float, *, refused: bool) -> RateHeaders:
        remaining = 0.0 if refused else max(0.0, self.level)
        return RateHeaders((StatedLimit(Kind.GENERATED, self.limit, remaining),))


@dataclass
class Service:
    """A simulated service.

    Attributes:
        limiter: Decides what is refused.
        latency: Median seconds of a log-normal latency.
        sigma: Its spread.
        round_trip: Seconds to the service and back.
        capacity: Answers per second that it manages, however many requests wait; None for any.
    """

    limiter: Limiter = field(default_factory=Silent)
    latency: float = 0.5
    sigma: float = 0.5
    round_trip: float = 0.004
    capacity: float | None = None


@dataclass
class Outcome:
    """What a simulated run came to.

    Attributes:
        seconds: How long it took.
        sent_at: When requests were sent.
        answered_at: When they were answered.
        refusals: How many were refused.
        most_under_way: The most requests at once.
        pacer: What decided.
    """

    pacer: Pacer
    seconds: float = 0.0
    sent_at: list[float] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    refusals: int = 0
    most_under_way: int = 0

    def answers_per_second(self) -> float:
        return len(self.answered_at) / self.seconds

    def sent_between(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at in self.sent_at)

    def answered_between(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at in self.answered_at)


def simulate(
    rows: int,
    service: Service,
    *,
    workers: int = 200,
    seek: bool = False,
    ceilings: Ceilings | None = None,
    tokens: Callable[[int], tuple[Tokens, Tokens]] = lambda _row: (NO_TOKENS, Tokens(20, 20, 60)),
    seed: int = 0,
    until: float = math.inf,
) -> Outcome:
    """Send rows through a pacer until all are answered.

    Args:
        rows: How many.
        service: Where to.
        workers: Most requests at once.
        seek: Whether the window finds its size by itself.
        ceilings: The user's.
        tokens: What a row sets aside, and what it takes.
        seed: Of chance.
        until: When to stop at the latest.
    """
    chance = random.Random(seed)
    limiter = service.limiter
    pacer = Pacer(Window(workers, seek=seek), ceilings or Ceilings())
    outcome = Outcome(pacer)
    tie = itertools.count()
    events: list[tuple[float, int, Callable[[float], None]]] = []
    to_send = deque(range(rows))
    busy_until = 0.0
    alarm = math.inf

    def schedule(at: float, action: Callable[[float], None]) -> None:
        heapq.heappush(events, (at, next(tie), action))

    def send(now: float) -> None:
        nonlocal alarm, busy_until
        if now >= alarm:
            alarm = math.inf
        while to_send:
            most, used = tokens(to_send[0])
            wait = pacer.wait(now, SIZE, most)
            if wait > 0:
                at = now + wait
                if at < alarm:
                    alarm = at
                    schedule(at, send)
                return
            row = to_send.popleft()
            permit = pacer.leave(now, SIZE, most)
            outcome.sent_at.append(now)
            outcome.most_under_way = max(outcome.most_under_way, pacer.under_way)
            schedule(
                now + service.round_trip * (0.5 + chance.random() / 4), arrive(row, permit, used)
            )

    def arrive(row: int, permit: Permit, used: Tokens) -> Callable[[float], None]:
        def happen(now: float) -> None:
            nonlocal busy_until
            if limiter.admits(now):
                done = now + service.latency * math.exp(service.sigma * chance.gauss(0, 1))
                if service.capacity is not None:
                    busy_until = max(busy_until, now) + 1 / service.capacity
                    done = max(done, busy_until)
                schedule(done, answer(row, permit, used))
            else:
                headers = limiter.headers(now, refused=True)
                schedule(now + service.round_trip / 2, refusal(row, permit, headers))

        return happen

    def answer(row: int, permit: Permit, used: Tokens) -> Callable[[float], None]:
        def happen(now: float) -> None:
            limiter.answered(now, used.generated)
            outcome.answered_at.append(now)
            pacer.answered(now, permit, limiter.headers(now, refused=False), used)
            outcome.seconds = now
            send(now)

        return happen

    def refusal(row: int, permit: Permit, headers: RateHeaders) -> Callable[[float], None]:
        def happen(now: float) -> None:
            outcome.refusals += 1
            pacer.refused(now, permit, headers)
            to_send.appendleft(row)
            send(now)

        return happen

    schedule(0.0, send)
    while len(outcome.answered_at) < rows:
        now, _, action = heapq.heappop(events)
        if now > until:
            outcome.seconds = until
            break
        action(now)
    return outcome


def constant(limit: float) -> Limit:
    """The same limit at all times."""
    return lambda _now: limit


def dip(limit: float, low: float, begin: float, end: float) -> Limit:
    """A limit that is lower for a while."""
    return lambda now: low if begin <= now < end else limit


def in_any_minute(times: list[float], amounts: list[int] | None = None) -> Iterator[int]:
    """What falls into each minute that begins with one of these moments."""
    amounts = amounts or [1] * len(times)
    total, last = 0, 0
    for first, begin in enumerate(times):
        while last < len(times) and times[last] <= begin + 60.0:
            total += amounts[last]
            last += 1
        yield total
        total -= amounts[first]
