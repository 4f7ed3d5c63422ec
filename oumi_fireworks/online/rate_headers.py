"""What the headers of an answer say about rate limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from multidict import istr

from oumi_fireworks.api.retry_after import read_retry_after

__all__ = ["SILENCE", "Kind", "RateHeaders", "StatedLimit"]


class Kind(Enum):
    """What a limit counts, as it is spelled in the names of headers."""

    REQUESTS = "requests"
    PROMPT = "tokens-prompt"
    UNCACHED = "tokens-cache-adjusted-prompt"
    GENERATED = "tokens-generated"


_NAMES = tuple(
    (kind, istr(f"x-ratelimit-limit-{kind.value}"), istr(f"x-ratelimit-remaining-{kind.value}"))
    for kind in Kind
)
"""Headers of aiohttp find such names in half the time."""

_RETRY_AFTER = istr("Retry-After")


@dataclass(frozen=True, slots=True)
class StatedLimit:
    """One limit as an answer states it.

    Attributes:
        kind: What it counts.
        limit: How many a minute, or None where the answer does not say.
        remaining: How many are left, or None where the answer does not say.
    """

    kind: Kind
    limit: float | None
    remaining: float | None


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """Rate limits as one answer states them.

    Fireworks states its three token limits on every answer, and no longer the one on requests.
    Its guide calls them tokens per second; the values are a minute's, as captures show (216000
    where no documented ceiling has as many a second). ``x-ratelimit-over-limit`` is not read: it
    was captured as "no" on a refusal.

    Attributes:
        limits: Those that are stated.
        retry_after: Seconds to stay away, or None.
    """

    limits: tuple[StatedLimit, ...] = ()
    retry_after: float | None = None

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> RateHeaders:
        """Read an answer's headers, whose names are compared without regard to case."""
        limits = []
        for kind, limit_name, remaining_name in _NAMES:
            limit, remaining = headers.get(limit_name), headers.get(remaining_name)
            if limit is not None or remaining is not None:
                stated = StatedLimit(kind, _number(limit, least=1.0), _number(remaining, least=0.0))
                if stated.limit is not None or stated.remaining is not None:
                    limits.append(stated)
        if not limits and _RETRY_AFTER not in headers:
            return SILENCE
        return cls(tuple(limits), read_retry_after(headers))

    @property
    def exhausted(self) -> bool:
        """Whether one of the limits has nothing left: then it explains a refusal."""
        return any(stated.remaining == 0 for stated in self.limits)


SILENCE = RateHeaders()
"""An answer that says nothing about limits."""


def _number(header: str | None, *, least: float) -> float | None:
    """Read a finite number; what is not one, or below ``least``, says nothing."""
    try:
        value = float(header or "")
    except ValueError:
        return None
    return value if least <= value < math.inf else None
