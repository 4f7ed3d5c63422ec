"""The service's limits a minute as token buckets, mirrored from what its answers state.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from oumi_fireworks.online.rate_headers import Kind, RateHeaders
from oumi_fireworks.online.tokens import Tokens

__all__ = ["ACCOUNT_REQUESTS", "Bucket", "Buckets", "amounts"]

MINUTE = 60.0

ACCOUNT_REQUESTS = 6000.0
"""Requests a minute that Fireworks gives an account, which no header states today (docs,
"Serverless rate limits")."""

RESERVE = 0.5
"""Seconds of refill that are left in a bucket, for what estimates and networks get wrong."""

DRAIN = 10.0
"""Seconds in which what a bucket holds above its reserve is spent."""

MARGIN = 0.97
"""The part of a limit on requests that is used: it may be counted by shorter spans."""

SLOWEST = 0.1
"""The part of the refill that is spent at least while there is anything in a bucket."""

MOST_UNDER_WAY = 0.5
"""The part of a bucket that is held back, at most, for requests under way: answers that take
minutes are paid for by what is refilled meanwhile."""


class Bucket:
    """One limit a minute, refilled evenly.

    The service may take an answer's tokens out when the request comes or when it is answered.
    So what an answer states as remaining brackets the truth: it holds as it stands, or less
    what is under way.

    Args:
        limit: Tokens, or requests, a minute.
        level: What is in it, if what is under way is taken out when it is answered.
        now: The time.
        drains: Whether what it holds may be spent faster than it is refilled.
    """

    def __init__(self, limit: float, level: float, now: float, *, drains: bool) -> None:
        self.limit = limit
        self._level = min(level, limit)
        self._at = now
        self._drains = drains

    def level(self, now: float) -> float:
        """Return what it holds now."""
        if now > self._at:
            self._level = min(self.limit, self._level + (now - self._at) * self.limit / MINUTE)
            self._at = now
        return self._level

    def hear(
        self, now: float, limit: float | None, remaining: float | None, under_way: float, age: float
    ) -> None:
        """Take note of what an answer states.

        Args:
            now: The time.
            limit: The limit, or None.
            remaining: What is left, or None.
            under_way: What unanswered requests will probably take.
            age: Seconds since the request was sent; what is stated may be as old.
        """
        level = self.level(now)
        if limit is not None:
            self.limit = limit
        if remaining is not None:
            most = remaining + under_way + age * self.limit / MINUTE
            level = min(max(level, remaining), most)
        self._level = min(level, self.limit)

    def take(self, now: float, amount: float) -> None:
        """Take out what a request took."""
        self._level = self.level(now) - amount

    def spacing(self, now: float, need: float, under_way: float) -> float:
        """Return the seconds from one request to the next, if each needs so much."""
        refill = self.limit / MINUTE
        if not self._drains:
            refill *= MARGIN
        free = self._free(now, under_way)
        reserve = max(refill * RESERVE, need)
        if free >= reserve:
            pace = refill + (free - reserve) / DRAIN if self._drains else refill
        else:
            pace = refill * max(free / reserve, SLOWEST)
        return need / pace

    def wait(self, now: float, under_way: float) -> float:
        """Return the seconds until there is anything left to send a request for."""
        return max(0.0, -self._free(now, under_way)) * MINUTE / self.limit

    def _free(self, now: float, under_way: float) -> float:
        return self.level(now) - min(under_way, self.limit * MOST_UNDER_WAY)


class Buckets:
    """All limits that the service states, and the one on requests that it is known to have.

    Until an answer states a limit there is none. Where tokens are limited, requests are too:
    :data:`ACCOUNT_REQUESTS`, unless the headers or the user say otherwise.

    Args:
        account_requests: Requests a minute that the account may make where tokens are limited.
    """

    def __init__(self, account_requests: float = ACCOUNT_REQUESTS) -> None:
        self._account_requests = account_requests
        self._buckets: dict[Kind, Bucket] = {}
        self._stated_at = -math.inf

    def __bool__(self) -> bool:
        """Whether any limit is known."""
        return bool(self._buckets)

    def hear(
        self, now: float, sent_at: float, headers: RateHeaders, under_way: Mapping[Kind, float]
    ) -> None:
        """Take note of what an answer states.

        Answers overtake each other. A limit that a request brings back which was sent before the
        one that brought the last is old news.

        Args:
            now: The time.
            sent_at: When the request was sent.
            headers: What its answer states.
            under_way: What unanswered requests will probably take.
        """
        is_news = sent_at >= self._stated_at
        for stated in headers.limits:
            kind = stated.kind
            if bucket := self._buckets.get(kind):
                limit = stated.limit if is_news else None
                taken = 0.0 if kind is Kind.REQUESTS else under_way[kind]
                bucket.hear(now, limit, stated.remaining, taken, now - sent_at)
            elif stated.limit is not None:
                self._add(now, kind, stated.limit, stated.remaining)
        if headers.limits:
            self._stated_at = max(sent_at, self._stated_at)
            if Kind.REQUESTS not in self._buckets:
                self._add(now, Kind.REQUESTS, self._account_requests, None)

    def take(self, now: float, amounts: Mapping[Kind, float]) -> None:
        """Take out what was used."""
        for kind, bucket in self._buckets.items():
            bucket.take(now, amounts[kind])

    def spacing(
        self, now: float, need: Mapping[Kind, float], under_way: Mapping[Kind, float]
    ) -> float:
        """Return the seconds from one request to the next, if each needs so much."""
        return max(
            (
                bucket.spacing(now, need[kind], under_way[kind])
                for kind, bucket in self._buckets.items()
            ),
            default=0.0,
        )

    def wait(self, now: float, under_way: Mapping[Kind, float]) -> float:
        """Return the seconds until no limit is used up."""
        return max(
            (bucket.wait(now, under_way[kind]) for kind, bucket in self._buckets.items()),
            default=0.0,
        )

    def requests_per_second(self, need: Mapping[Kind, float]) -> float:
        """Return how many requests the limits allow in the long run; infinite without any."""
        return min(
            (
                bucket.limit / MINUTE / need[kind]
                for kind, bucket in self._buckets.items()
                if need[kind] > 0
            ),
            default=math.inf,
        )

    def _add(self, now: float, kind: Kind, limit: float, remaining: float | None) -> None:
        level = limit / MINUTE * RESERVE if remaining is None else remaining
        drains = kind is not Kind.REQUESTS
        self._buckets[kind] = Bucket(limit, level, now, drains=drains)


def amounts(requests: float, tokens: Tokens) -> dict[Kind, float]:
    """Return what counts against each limit."""
    return {
        Kind.REQUESTS: requests,
        Kind.PROMPT: tokens.prompt,
        Kind.UNCACHED: tokens.uncached,
        Kind.GENERATED: tokens.generated,
    }
