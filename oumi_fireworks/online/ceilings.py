"""The user's ceilings per minute, which are never crossed.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

import math
from collections import deque

from oumi_fireworks.online.tokens import Tokens

__all__ = ["Ceilings"]

MINUTE = 60.0
"""The span of a ceiling, as Oumi documents it: any 60 seconds, not the minutes of a clock."""

ON_THE_WAY = 0.25
"""Seconds added to the span: the network may bring two requests closer together than they left."""


class Ceilings:
    """Sliding windows over requests, input tokens and output tokens.

    What a request will use is set aside when it is sent and replaced by what it used when it is
    answered. A token counts from the sending of its request to 60 seconds after the answer,
    so the sum over any minute stays below the ceiling whenever the service counts it.

    Args:
        requests: Most requests a minute; None for no ceiling.
        input_tokens: Most prompt tokens a minute; None for no ceiling.
        output_tokens: Most generated tokens a minute; None for no ceiling.
    """

    def __init__(
        self,
        requests: int | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        self._requests = _Ceiling(requests) if requests is not None else None
        self._input = _Ceiling(input_tokens) if input_tokens is not None else None
        self._output = _Ceiling(output_tokens) if output_tokens is not None else None
        self._are_set = requests is not None or self.count_tokens

    @property
    def count_tokens(self) -> bool:
        """Whether it matters how many tokens a request has."""
        return self._input is not None or self._output is not None

    def wait(self, now: float, need: Tokens) -> float:
        """Return the seconds until a request may be sent; infinite if only an answer can make room.

        A request that alone exceeds a ceiling is let through when nothing else counts.
        """
        if not self._are_set:
            return 0.0
        return max(
            self._requests.wait(now, 1) if self._requests else 0.0,
            self._input.wait(now, need.prompt) if self._input else 0.0,
            self._output.wait(now, need.generated) if self._output else 0.0,
        )

    def sent(self, now: float, need: Tokens) -> None:
        """Count a request, and set its tokens aside."""
        if self._requests:
            self._requests.count(now, 1)
        if self._input:
            self._input.set_aside(need.prompt)
        if self._output:
            self._output.set_aside(need.generated)

    def settled(self, now: float, need: Tokens, used: Tokens) -> None:
        """Count the tokens that a request used instead of those that were set aside for it."""
        if self._input:
            self._input.settle(now, need.prompt, used.prompt)
        if self._output:
            self._output.settle(now, need.generated, used.generated)


class _Ceiling:
    """One sliding window."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counted: deque[tuple[float, float]] = deque()
        self._sum = 0.0
        self._aside = 0.0

    def wait(self, now: float, need: float) -> float:
        self._expire(now)
        excess = self._sum + self._aside + need - self._limit
        if excess <= 0 or not (self._sum or self._aside):
            return 0.0
        for time, amount in self._counted:
            excess -= amount
            if excess <= 0:
                return time + MINUTE + ON_THE_WAY - now
        # Even when all that is counted has expired, what is set aside leaves no room.
        if self._aside or not self._counted:
            return math.inf
        return self._counted[-1][0] + MINUTE + ON_THE_WAY - now

    def count(self, now: float, amount: float) -> None:
        if amount:
            self._counted.append((now, amount))
            self._sum += amount

    def set_aside(self, amount: float) -> None:
        self._aside += amount

    def settle(self, now: float, aside: float, used: float) -> None:
        self._aside -= aside
        self.count(now, used)

    def _expire(self, now: float) -> None:
        while self._counted and self._counted[0][0] + MINUTE + ON_THE_WAY <= now:
            self._sum -= self._counted.popleft()[1]
