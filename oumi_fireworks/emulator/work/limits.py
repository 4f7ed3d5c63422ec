"""The service's limits: adaptive token buckets for each model, and the account's requests.

Fireworks' page on rate limits (November 2026), and a live test of August 2026: three buckets of
tokens a minute whose limits grow with steady use, up to a ceiling by the model's size, and shrink
when traffic ramps up too steeply; 6,000 requests a minute for the whole account.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from oumi_fireworks.emulator.wire.numbers import is_amount, is_count
from oumi_fireworks.emulator.work.traffic import Verdict

MINUTE = 60.0
"""Seconds over which all limits are counted."""

_STEADY_SHARE = 0.5
"""Share of a limit that has to be used in a minute for the limit to grow."""

_SIZE = re.compile(r"(?<![a-z0-9])(\d+(?:[.p]\d+)?)([bt])(?![a-z0-9])")
_BILLION = {"b": 1.0, "t": 1000.0}


class TokenRates(NamedTuple):
    """Tokens a minute, or tokens.

    Attributes:
        prompt: Of all prompts.
        uncached: Of prompts, without what came from the cache.
        generated: Of answers.
    """

    prompt: float
    uncached: float
    generated: float


CEILINGS = (
    (400.0, TokenRates(64.8e6, 16.2e6, 648e3)),
    (1600.0, TokenRates(43.2e6, 10.8e6, 432e3)),
    (float("inf"), TokenRates(21.6e6, 5.4e6, 216e3)),
)
"""The highest limits for models of up to so many billion parameters."""

_HEADERS = ("prompt", "cache-adjusted-prompt", "generated")
"""How the headers call the buckets, in the order of `TokenRates`."""


def ceilings_of(model: str) -> TokenRates:
    """Return the highest limits of a model, by the size in its name, such as `671b` or `1t`."""
    sizes = [float(n.replace("p", ".")) * _BILLION[unit] for n, unit in _SIZE.findall(model)]
    size = max(sizes, default=0.0)
    return next(rates for most, rates in CEILINGS if size <= most)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is limited, and how limits move.

    Args:
        requests_per_minute: Of the whole account; None for any number. No header states it.
        tokens: Whether there are token buckets; dedicated deployments have none.
        start: Share of its ceiling that a limit begins with.
        floor: Share of its ceiling below which a limit does not shrink.
        growth: By what a limit is multiplied after a minute of steady use.
        steep: How many more requests than five seconds earlier may be under way to one model;
            with more of them the limit on generated tokens shrinks to a sixth. Live, 100 at
            once from a standing start did it, and 50 did not.
        at_once: How many requests are answered at once; None for any number. More of them are
            refused, as by a dedicated deployment whose GPUs are busy.

    Raises:
        ValueError: If one of them is not finite and positive.
    """

    requests_per_minute: float | None = 6000.0
    tokens: bool = True
    start: float = 1 / 3
    floor: float = 1 / 18
    growth: float = 1.5
    steep: int = 64
    at_once: int | None = None

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "start", "floor", "growth", "steep", "at_once"):
            value = getattr(self, name)
            if value is None and name in ("requests_per_minute", "at_once"):
                continue
            good = is_count(value) if name in ("steep", "at_once") else is_amount(value)
            if not good or value <= 0:
                raise ValueError(f"{name} must be finite and positive, got {value!r}")
        if self.start > 1 or self.floor > 1 or self.growth < 1:
            raise ValueError("start and floor are shares up to 1, growth is 1 or more")
        if not isinstance(self.tokens, bool):
            raise ValueError(f"tokens must be true or false, got {self.tokens!r}")


PRESETS: Mapping[str, Limits | None] = {
    "fireworks": Limits(),
    "dedicated": Limits(tokens=False, at_once=256),
    "none": None,
}
"""Limits by name: of serverless models, of a dedicated deployment, none at all."""

_SHRINKAGE = 6
"""By what a limit is divided after too steep a ramp: live, from 216,000 to 36,000."""

_RAMP = 5.0
"""Seconds over which a ramp is measured. An assumption: the live test shows a burst only."""


def limits_named(name: str) -> Limits | None:
    """Return the limits of a preset.

    Raises:
        ValueError: If there is no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"there are no limits {name!r}, use one of {', '.join(PRESETS)}")
    return PRESETS[name]


@dataclass(slots=True)
class _Bucket:
    """One limit a minute that moves between a floor and a ceiling.

    Attributes:
        ceiling: The highest that the limit can be, in tokens a minute.
        limit: What it is now.
        remaining: Tokens that can be used now; negative if more was used than there was.
        updated: When `remaining` was right, in seconds.
        minute: When the minute began that is looked at for steady use.
        used: Tokens used in it.
        refused: Whether anything was refused in it.
    """

    ceiling: float
    limit: float
    remaining: float
    updated: float
    minute: float
    used: float = 0.0
    refused: bool = False

    def refill(self, now: float, growth: float) -> None:
        """Add what has come in since, and grow after a minute of steady use."""
        self.remaining += (now - self.updated) * self.limit / MINUTE
        self.updated = now
        if now - self.minute >= MINUTE:
            if not self.refused and self.used >= _STEADY_SHARE * self.limit:
                self.limit = min(self.ceiling, self.limit * growth)
            self.minute, self.used, self.refused = now, 0.0, False
        self.remaining = min(self.remaining, self.limit)

    def take(self, tokens: float) -> None:
        """Use tokens."""
        self.remaining -= tokens
        self.used += tokens

    def shrink(self, floor: float) -> None:
        """Fall to a sixth, but not below the floor."""
        self.limit = max(floor, self.limit / _SHRINKAGE)
        self.remaining = min(self.remaining, self.limit)
        self.refused = True


@dataclass(slots=True)
class _Model:
    """The buckets of one model, and how many requests to it are and were under way.

    Attributes:
        under_way: Requests that were admitted and have not finished.
        levels: The latest values of `under_way`, each with the second from which on it held.
        shrunk: When a limit was last shrunk.
    """

    prompt: _Bucket
    uncached: _Bucket
    generated: _Bucket
    under_way: int = 0
    levels: deque[tuple[float, int]] = field(default_factory=deque)
    shrunk: float = float("-inf")

    @property
    def buckets(self) -> tuple[_Bucket, _Bucket, _Bucket]:
        """All three, in the order of `TokenRates`."""
        return self.prompt, self.uncached, self.generated

    def move(self, by: int, now: float) -> int:
        """Change how many requests are under way; return by how many more that is than before.

        Args:
            by: 1 or -1.
            now: Seconds on the limiter's clock.

        Returns:
            The difference to the number five seconds earlier.
        """
        self.under_way += by
        self.levels.append((now, self.under_way))
        while len(self.levels) > 1 and self.levels[1][0] <= now - _RAMP:
            self.levels.popleft()
        since, level = self.levels[0]
        return self.under_way - (level if since <= now - _RAMP else 0)


class AdaptiveLimiter:
    """Counts requests and tokens against limits that move.

    Args:
        limits: What is limited.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._requests: deque[float] = deque()
        self._models: dict[str, _Model] = {}
        self._under_way = 0

    def admit(self, model: str, prompt: int, cached: int, now: float) -> Verdict:
        """Count one request and say whether it is answered. One that is needs `finish`.

        Args:
            model: Its model; each has buckets of its own.
            prompt: Tokens of its prompt.
            cached: Those that come from the cache.
            now: Seconds on a clock that does not go back.
        """
        limits = self.limits
        while self._requests and self._requests[0] <= now - MINUTE:
            self._requests.popleft()
        most = limits.requests_per_minute
        allowed = most is None or len(self._requests) < most
        if limits.at_once is not None and self._under_way >= limits.at_once:
            allowed = False
        headers: dict[str, str] = {}
        if limits.tokens:
            allowed = self._admit_tokens(model, prompt, prompt - cached, now, allowed)
            headers = self._headers(model)
        if allowed:
            self._requests.append(now)
            self._under_way += 1
        headers["x-ratelimit-over-limit"] = "no"
        return Verdict(allowed, headers)

    def finish(self, model: str, generated: int, now: float) -> dict[str, str]:
        """Count the tokens of an answer; return what its headers say of the limits."""
        self._under_way -= 1
        if not self.limits.tokens:
            return {}
        state = self._model(model, now)
        state.move(-1, now)
        for bucket in state.buckets:
            bucket.refill(now, self.limits.growth)
        state.generated.take(generated)
        return self._headers(model)

    def _admit_tokens(
        self, model: str, prompt: int, uncached: int, now: float, allowed: bool
    ) -> bool:
        state = self._model(model, now)
        for bucket in state.buckets:
            bucket.refill(now, self.limits.growth)
        empty = [bucket for bucket in state.buckets if bucket.remaining < 1]
        for bucket in empty:
            bucket.refused = True
        if empty or not allowed:
            return False
        state.prompt.take(prompt)
        state.uncached.take(uncached)
        if state.move(1, now) > self.limits.steep and now >= state.shrunk + MINUTE:
            state.shrunk = now
            state.generated.shrink(self.limits.floor * state.generated.ceiling)
        return True

    def _model(self, model: str, now: float) -> _Model:
        if model not in self._models:
            start = self.limits.start
            prompt, uncached, generated = (
                _Bucket(ceiling, ceiling * start, ceiling * start, now, now)
                for ceiling in ceilings_of(model)
            )
            self._models[model] = _Model(prompt, uncached, generated)
        return self._models[model]

    def _headers(self, model: str) -> dict[str, str]:
        headers = {}
        for name, bucket in zip(_HEADERS, self._models[model].buckets, strict=True):
            headers[f"x-ratelimit-limit-tokens-{name}"] = str(int(bucket.limit))
            headers[f"x-ratelimit-remaining-tokens-{name}"] = str(max(0, int(bucket.remaining)))
        return headers
