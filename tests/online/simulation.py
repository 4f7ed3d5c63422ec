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

from oumi_fireworks.online.ceilings import Ceilings, Tokens
from oumi_fireworks.online.pacing import Leave, Pacer
from oumi_fireworks.online.signals import Signals
from oumi_fireworks.online.window import Window

Limit = Callable[[float], float]
"""Requests per second that are let through, at a moment."""


class Limiter(Protocol):
    """Decides what is let through."""

    def admits(self, now: float) -> bool: ...


class FixedWindows:
    """Counts by windows that begin with the clock's, as the emulator does."""

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


class SlidingWindow:
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


class Bucket:
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


@dataclass
class Service:
    """A simulated service.

    Attributes:
        limiter: Decides what is refused; None for nothing.
        states: The limit that its headers state, per second; None for no headers.
        over_limit: Tells when an answer is marked as given over the limit.
        retry_after: What its refusals ask for.
        latency: Median seconds of a log-normal latency.
        sigma: Its spread.
        round_trip: Seconds to the service and back.
        capacity: Answers per second that it manages, however many requests wait; None for any.
    """

    limiter: Limiter | None = None
    states: Limit | None = None
    over_limit: Callable[[float], bool] = lambda _now: False
    retry_after: float | None = None
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
        refusals: How many were refused.
        most_under_way: The most requests at once.
        rates: (time, requests per second allowed), at each request.
    """

    seconds: float = 0.0
    sent_at: list[float] = field(default_factory=list)
    refusals: int = 0
    most_under_way: int = 0
    rates: list[tuple[float, float]] = field(default_factory=list)

    def answers_per_second(self, rows: int) -> float:
        return rows / self.seconds

    def sent_between(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at in self.sent_at)


def simulate(
    rows: int,
    service: Service,
    *,
    workers: int = 200,
    seek: bool = False,
    ceilings: Ceilings | None = None,
    tokens: Callable[[int], tuple[Tokens, Tokens]] = lambda _row: (Tokens(), Tokens(20, 20)),
    seed: int = 0,
) -> Outcome:
    """Send rows through a pacer until all are answered.

    Args:
        rows: How many.
        service: Where to.
        workers: Most requests at once.
        seek: Whether the window finds its size by itself.
        ceilings: The user's.
        tokens: What a row sets aside, and what it uses.
        seed: Of chance.
    """
    chance = random.Random(seed)
    pacer = Pacer(Window(workers, seek=seek), ceilings or Ceilings())
    outcome = Outcome()
    tie = itertools.count()
    events: list[tuple[float, int, Callable[[float], None]]] = []
    to_send = deque(range(rows))
    answered = 0
    busy_until = 0.0
    alarm = math.inf

    def schedule(at: float, action: Callable[[float], None]) -> None:
        heapq.heappush(events, (at, next(tie), action))

    def send(now: float) -> None:
        nonlocal alarm, busy_until
        if now >= alarm:
            alarm = math.inf
        while to_send:
            need, used = tokens(to_send[0])
            wait = pacer.wait(now, need)
            if wait > 0:
                at = now + wait
                if at < alarm:
                    alarm = at
                    schedule(at, send)
                return
            row = to_send.popleft()
            leave = pacer.leave(now, need)
            outcome.sent_at.append(now)
            outcome.rates.append((now, pacer.rate.value))
            outcome.most_under_way = max(outcome.most_under_way, pacer.under_way)
            arrival = now + service.round_trip * (0.5 + chance.random() / 4)
            if service.limiter is None or service.limiter.admits(arrival):
                done = arrival + service.latency * math.exp(service.sigma * chance.gauss(0, 1))
                if service.capacity is not None:
                    busy_until = max(busy_until, arrival) + 1 / service.capacity
                    done = max(done, busy_until)
                schedule(done, answer(row, leave, arrival, used))
            else:
                schedule(arrival + service.round_trip / 2, refusal(row, leave, arrival))

    def answer(row: int, leave: Leave, arrival: float, used: Tokens) -> Callable[[float], None]:
        def happen(now: float) -> None:
            nonlocal answered
            answered += 1
            pacer.answered(now, leave, signals(arrival, refused=False), used)
            outcome.seconds = now
            send(now)

        return happen

    def refusal(row: int, leave: Leave, arrival: float) -> Callable[[float], None]:
        def happen(now: float) -> None:
            outcome.refusals += 1
            pacer.refused(now, leave, signals(arrival, refused=True))
            to_send.appendleft(row)
            send(now)

        return happen

    def signals(now: float, *, refused: bool) -> Signals:
        return Signals(
            requests=service.states(now) if service.states else None,
            near_limit=refused or service.over_limit(now),
            retry_after=service.retry_after if refused else None,
        )

    schedule(0.0, send)
    while answered < rows:
        now, _, action = heapq.heappop(events)
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
