"""When nothing gets through: everybody waits, and single probes find out that it is over.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OVERLOADED", "RATE_LIMIT", "STARTING", "Cause", "Standstill"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why everybody waits, and how often a probe goes.

    Attributes:
        words: What is waited for, as people read it.
        first: Seconds before the first probe.
        factor: How many times longer each further wait is.
        longest: Most seconds between two probes.
    """

    words: str
    first: float
    factor: float
    longest: float


RATE_LIMIT = Cause("for the rate limit (429)", first=0.1, factor=1.5, longest=10.0)

OVERLOADED = Cause("as the service asked for (503)", first=0.5, factor=1.5, longest=10.0)

STARTING = Cause("for the deployment to start", first=5.0, factor=1.5, longest=60.0)
"""What the docs advise for DEPLOYMENT_SCALING_UP."""

ADVISED_FIRST = 0.25
"""Seconds before the first probe where the service said how long to wait."""

PASSED = 0.3
"""Seconds after which a probe that is not refused is believed to have got through."""


class Standstill:
    """Whether everybody waits, and when the next probe goes.

    ``Retry-After`` is obeyed until a probe shows that it was exaggerated; from then on it no
    longer makes everybody wait because of a single refusal.

    Attributes:
        cause: Why everybody waits, or None if nobody does.
        since: Since when; meaningless if nobody does.
        heeds: Whether what the service asks for was not seen to be exaggerated.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self.since = 0.0
        self.heeds = True
        self._interval = 0.0
        self._next_probe = 0.0
        self._probe_sent_at: float | None = None
        self._advised_until: float | None = None

    def begin(self, now: float, cause: Cause, advised: float | None = None) -> None:
        """Let everybody wait.

        Args:
            now: The time.
            cause: Why.
            advised: Seconds that the service asked for.
        """
        self.cause, self.since = cause, now
        self._probe_sent_at = None
        self._advised_until = None
        self._interval = max(cause.first, ADVISED_FIRST) if advised and self.heeds else cause.first
        self._next_probe = now + self._interval
        self._take_advice(now, advised)

    def wait(self, now: float, grace: float) -> float:
        """Return the seconds until somebody may go.

        Args:
            now: The time.
            grace: Seconds in which a refusal comes.
        """
        if self.cause is None:
            return 0.0
        if self._probe_sent_at is None:
            return max(0.0, self._next_probe - now)
        passed = self._probe_sent_at + max(PASSED, grace) - now
        if passed <= 0:
            self.end(now)
            return 0.0
        return passed

    def sent(self, now: float) -> bool:
        """Take note of a request that leaves; return whether it is a probe."""
        if self.cause is None:
            return False
        self._probe_sent_at = now
        return True

    def probe_failed(self, now: float, cause: Cause, advised: float | None = None) -> None:
        """Take note that a probe did not get through."""
        if self.cause is None:  # it took so long that everybody went on
            self.begin(now, cause, advised)
            return
        if cause is not self.cause:
            self.cause, self._interval = cause, cause.first
        else:
            self._interval = min(self._interval * cause.factor, cause.longest)
        self._probe_sent_at = None
        self._next_probe = now + self._interval
        self._take_advice(now, advised)

    def probe_withdrawn(self, now: float) -> None:
        """Take note that a probe was cancelled: the next one goes at once."""
        self._probe_sent_at = None
        self._next_probe = now

    def end(self, now: float) -> None:
        """Take note that a probe got through."""
        if self.cause is not None and self._advised_until is not None:
            self.heeds = now >= self._advised_until
        self.cause = None
        self._probe_sent_at = None

    def _take_advice(self, now: float, advised: float | None) -> None:
        if advised is not None and self.heeds:
            self._advised_until = now + advised
        if self._advised_until is not None and self._advised_until > now:
            self._next_probe = min(self._next_probe, self._advised_until)
