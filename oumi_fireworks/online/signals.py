"""What the headers of an answer say about limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from oumi_fireworks.api.retries import parse_retry_after

__all__ = ["SILENCE", "Signals"]


@dataclass(frozen=True, slots=True)
class Signals:
    """Rate limits as one answer states them; None where it is silent.

    Fireworks calls its limits minimums that it keeps, adapts them to use, and may answer above
    them (docs.fireworks.ai, "Serverless rate limits").

    Attributes:
        requests: Requests per second, from ``x-ratelimit-limit-requests`` (a minute's number).
        input_tokens: Prompt tokens per second, from ``x-ratelimit-limit-tokens-prompt``.
        output_tokens: Generated tokens per second, from ``x-ratelimit-limit-tokens-generated``.
        near_limit: ``x-ratelimit-over-limit: yes``, or nothing is remaining.
        retry_after: Seconds to stay away.
    """

    requests: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    near_limit: bool = False
    retry_after: float | None = None

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Signals:
        """Read an answer's headers, whose names are compared without regard to case."""
        requests = _positive(headers.get("x-ratelimit-limit-requests"))
        return cls(
            requests=requests and requests / 60.0,
            input_tokens=_positive(headers.get("x-ratelimit-limit-tokens-prompt")),
            output_tokens=_positive(headers.get("x-ratelimit-limit-tokens-generated")),
            near_limit=(
                headers.get("x-ratelimit-over-limit", "").lower() == "yes"
                or headers.get("x-ratelimit-remaining-requests") == "0"
            ),
            retry_after=parse_retry_after(headers.get("Retry-After")),
        )


SILENCE = Signals()
"""An answer that says nothing about limits."""


def _positive(header: str | None) -> float | None:
    """Read a number above 0; what is not one says nothing."""
    try:
        value = float(header or "")
    except ValueError:
        return None
    return value if 0 < value < math.inf else None
