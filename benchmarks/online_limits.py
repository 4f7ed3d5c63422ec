"""The limits of the online benchmark, written for it: the pump shares nothing with them.

Each decides about one request at a time, and knows what a perfect client would have got of it.
Time is in seconds since the first request.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

MINUTE = 60.0
STEP = 0.02  # seconds in which limits are advanced


@dataclass(frozen=True)
class Plan:
    """What a server does.

    Attributes:
        kind: One of `LIMITS`.
        latency: Median seconds of an answer.
        sigma: Spread of the latency, log-normal.
        per_second: Requests a second that are let through, for "requests".
        retry_after: Sent with each refusal, or empty.
        share: Share of requests that is refused, for "random".
        closed: Seconds in which everything is refused, for "closed".
        cut_at: Seconds after which another client lets the limit shrink, for "tokens"; 0 never.
        tokens: Generated tokens of an answer.
        headers: Whether limits are stated.
    """

    kind: str = "none"
    latency: float = 0.5
    sigma: float = 0.3
    per_second: float = 100.0
    retry_after: str = ""
    share: float = 0.0
    closed: float = 0.0
    cut_at: float = 0.0
    tokens: int = 60
    headers: bool = True


class NoLimit:
    """Lets everything through."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def admits(self, now: float) -> bool:
        """Decide about a request."""
        return True

    def answered(self, now: float) -> None:
        """Count an answer."""

    def headers(self, now: float, refused: bool) -> str:
        """Return what an answer says about limits, as lines of its head."""
        if refused and self.plan.retry_after:
            return f"Retry-After: {self.plan.retry_after}\r\n"
        return ""

    def facts(self, now: float) -> dict[str, float]:
        """Return what there is to report about the limit."""
        return {}


class Requests(NoLimit):
    """So many requests a second, in a bucket that holds a second's worth. Nothing is stated."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._level, self._at = plan.per_second, 0.0

    def admits(self, now: float) -> bool:
        """Decide about a request."""
        refill = (now - self._at) * self.plan.per_second
        self._level, self._at = min(self.plan.per_second, self._level + refill), now
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def facts(self, now: float) -> dict[str, float]:
        """Return how many requests a perfect client would have got through."""
        return {"perfect": self.plan.per_second * (now + 1.0)}


class AtRandom(NoLimit):
    """Refuses a share of what comes, whatever the rate."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._chance = random.Random(7)

    def admits(self, now: float) -> bool:
        """Decide about a request."""
        return self._chance.random() >= self.plan.share


class Closed(NoLimit):
    """Refuses everything for a while."""

    def admits(self, now: float) -> bool:
        """Decide about a request."""
        return now >= self.plan.closed


class Tokens(NoLimit):
    """Generated tokens a minute, in a bucket that is full at first, as Fireworks describes it.

    The limit begins at 36,000 and doubles in 20 seconds of steady use, up to 216,000. It shrinks
    to a sixth when traffic grows too steeply: when more requests come within a second than 60,
    and than three times the average of the ten seconds before. Tokens are taken out when a
    request is answered. What remains is stated with each answer, and 0 with a refusal.
    """

    LEAST, MOST = 36_000.0, 216_000.0
    DOUBLES_IN, STEADY, LATELY = 20.0, 0.7, 5.0
    BURST, STEEP, BEFORE = 60, 3.0, 10.0

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.limit = self._level = self.LEAST
        self._at = 0.0
        self._came: deque[float] = deque()
        self._used: deque[float] = deque()
        self._perfect_limit = self._perfect = self.LEAST
        self._cut = False
        self._shrunk = 0

    def admits(self, now: float) -> bool:
        """Decide about a request."""
        self._advance(now)
        came = self._came
        came.append(now)
        while came[0] < now - self.BEFORE - 1:
            came.popleft()
        last = sum(1 for at in came if at > now - 1)
        before = (len(came) - last) / self.BEFORE
        if last > max(self.BURST, self.STEEP * before):
            self._shrunk += 1
            self.limit = max(self.LEAST, self.limit / 6)
            self._level = min(self._level, self.limit)
            came.clear()
            return False
        return self._level > 0

    def answered(self, now: float) -> None:
        """Count an answer."""
        self._advance(now)
        self._level -= self.plan.tokens
        self._used.append(now)

    def headers(self, now: float, refused: bool) -> str:
        """Return what an answer says about limits."""
        said = super().headers(now, refused)
        if not self.plan.headers:
            return said
        remaining = 0 if refused else max(0, int(self._level))
        return (
            f"{said}x-ratelimit-limit-tokens-generated: {int(self.limit)}\r\n"
            f"x-ratelimit-remaining-tokens-generated: {remaining}\r\n"
            "x-ratelimit-over-limit: no\r\n"
        )

    def facts(self, now: float) -> dict[str, float]:
        """Return how many requests a perfect client would have got through, and the limit."""
        self._advance(now)
        return {
            "perfect": self._perfect / self.plan.tokens,
            "shrunk": self._shrunk,
            "limit": self.limit,
        }

    def _advance(self, now: float) -> None:
        while self._at < now:
            step = min(STEP, now - self._at)
            self._at += step
            if self.plan.cut_at and not self._cut and self._at >= self.plan.cut_at:
                self._cut = True
                self.limit /= 6
                self._perfect_limit /= 6
                self._level = min(self._level, self.limit)
            growth = 2 ** (step / self.DOUBLES_IN)
            while self._used and self._used[0] < self._at - self.LATELY:
                self._used.popleft()
            used = len(self._used) * self.plan.tokens / min(self.LATELY, max(self._at, 1.0))
            if used >= self.STEADY * self.limit / MINUTE:
                self.limit = min(self.MOST, self.limit * growth)
            self._level = min(self.limit, self._level + self.limit / MINUTE * step)
            # A perfect client is never idle, so its limit always grows, and wastes nothing.
            self._perfect_limit = min(self.MOST, self._perfect_limit * growth)
            self._perfect += self._perfect_limit / MINUTE * step


LIMITS: dict[str, type[NoLimit]] = {
    "none": NoLimit,
    "requests": Requests,
    "random": AtRandom,
    "closed": Closed,
    "tokens": Tokens,
}
