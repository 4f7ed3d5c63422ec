"""How fast chat answers come, and how many are allowed: latency and rate limits."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from oumi_fireworks.emulator.wire.numbers import is_amount


@dataclass(frozen=True, slots=True)
class Latency:
    """Log-normal latency of chat completions.

    Args:
        median: Seconds that half of the answers take at most.
        sigma: Standard deviation of the logarithm; 0 makes every answer take `median`.

    Raises:
        ValueError: If one of them is not a finite, non-negative number.
    """

    median: float
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if not (is_amount(self.median) and is_amount(self.sigma)):
            raise ValueError(
                "a latency needs a median and a sigma that are finite and non-negative"
            )

    def draw(self, rng: random.Random) -> float:
        """Return the seconds that the next answer takes."""
        return self.median * math.exp(self.sigma * rng.gauss(0.0, 1.0))


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit on chat completions, counted over fixed windows.

    Args:
        requests_per_minute: How many are answered a minute; the rest get a 429.
        window: Length of a window in seconds; each may use its share of the minute.
        soft_requests_per_minute: From this rate on, answers carry
            `x-ratelimit-over-limit: yes` although they are given; None for never.
        retry_after: Whether a 429 says, in whole seconds, when to come again.

    Raises:
        ValueError: If one of the numbers is not finite and positive.
    """

    requests_per_minute: float
    window: float = 1.0
    soft_requests_per_minute: float | None = None
    retry_after: bool = True

    def __post_init__(self) -> None:
        soft = self.soft_requests_per_minute
        numbers = [self.requests_per_minute, self.window, *([] if soft is None else [soft])]
        if not all(is_amount(number) and number > 0 for number in numbers):
            raise ValueError("a rate limit needs a positive rate and a positive window")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limiter says about one request.

    Args:
        allowed: Whether it is answered.
        headers: What the answer, or the refusal, says about the limit.
    """

    allowed: bool
    headers: dict[str, str]


class Limiter:
    """Counts requests against a limit that may change at any time."""

    def __init__(self) -> None:
        self._window = -1
        self._used = 0

    def admit(self, limit: RateLimit, now: float) -> Verdict:
        """Count one request and say whether it is answered.

        The headers speak of a minute: what is left of the window, scaled to a minute.

        Args:
            limit: The limit as it is at this moment.
            now: Seconds on any clock that does not go back.
        """
        window = int(now // limit.window)
        if window != self._window:
            self._window, self._used = window, 0
        share = limit.window / 60.0
        capacity = max(1, round(limit.requests_per_minute * share))
        allowed = self._used < capacity
        if allowed:
            self._used += 1
        soft = limit.soft_requests_per_minute
        over = not allowed or (soft is not None and self._used > soft * share)
        headers = {
            "x-ratelimit-limit-requests": str(round(limit.requests_per_minute)),
            "x-ratelimit-remaining-requests": str(int((capacity - self._used) / share)),
        }
        if over:
            headers["x-ratelimit-over-limit"] = "yes"
        if not allowed and limit.retry_after:
            left = (window + 1) * limit.window - now
            headers["Retry-After"] = str(max(1, math.ceil(left)))
        return Verdict(allowed, headers)
