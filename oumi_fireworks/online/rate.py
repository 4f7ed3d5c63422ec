"""How many requests a second to send: what the service states, and what it refuses.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

import math

__all__ = ["Rate"]

MARGIN, WIDER, WIDEST = 0.97, 0.02, 0.87
"""How close to a known limit to stay, as the rest is for clocks and networks that are not even;
how much further away after a refusal below a stated limit; and the furthest."""

OPENING = 100.0 * MARGIN
"""Requests per second until the first answer: Fireworks gives an account 6,000 a minute at most."""

CUT = 0.85
"""Where the rate falls after a refusal, as a part of what the limit seems to be."""

RECOVERY = 1.0
"""Seconds in which the gap between the rate after a cut and the known limit shrinks to 1/e."""

SHORT_HOLD, STATED_HOLD, LONGEST_HOLD = 3.0, 60.0, 120.0
"""Seconds to stay at a limit before trying beyond it: one found by refusals, one that the
service states, and the most, for each refused trial doubles the hold."""

SEARCH_GROWTH = 0.7
"""Growth a second while it is known that there is a limit, but not where: doubling."""

HOLD_PER_PAUSE = 10.0
"""Seconds of hold for each second of pause: trials may cost a tenth of the time."""

TRIAL_GROWTH, FASTEST_TRIAL = 0.05, 0.15
"""How a trial beyond the limit speeds up: after t seconds the rate grows by t x 5 % a second, but
no faster than 15 % a second."""

WARY_GROWTH = 0.05
"""Growth a second while the service says that it is near its limit."""

SAME, BEYOND = 0.05, 1.1
"""Stated limits closer than this are the same; a rate this many times a limit proves it wrong."""


class Rate:
    """The rate at which requests may be sent, learned from the answers.

    It is the service's stated limit where there is one, otherwise unbounded until a refusal
    shows a limit. A refusal cuts it (multiplicative decrease). Then it comes back to just below
    where it was refused, stays there for a while, and tries beyond, slowly at first.

    Attributes:
        value: Requests per second; infinite while no limit is known.
    """

    def __init__(self) -> None:
        self.value = OPENING
        self._limit = math.inf  # where the service refused, or said that it may
        self._margin = MARGIN
        self._hold = SHORT_HOLD
        self._hold_until = 0.0
        self._wary = False
        self._opening = True
        self._stated: float | None = None
        self._stated_sent_at = -math.inf

    def answered(self, now: float, *, near_limit: bool) -> None:
        """Take note of an answer that is no refusal.

        Args:
            now: The time.
            near_limit: Whether the service said so with the answer.
        """
        if self._opening:
            self._opening = False
            if self._stated is None:
                self.value = math.inf
        if near_limit:
            # Answered all the same, so a stated limit is no wall: try beyond it before long.
            self._hold_until = min(self._hold_until, now + SHORT_HOLD)
        self._wary = near_limit

    def stated(self, now: float, limit: float, *, sent_at: float) -> None:
        """Take note of the limit that the service states.

        Args:
            now: The time.
            limit: Requests per second.
            sent_at: When the request was sent whose answer said so. Answers overtake each other,
                so a statement about an earlier moment than the last one is old news.
        """
        if sent_at < self._stated_sent_at:
            return
        self._stated_sent_at = sent_at
        if self._stated is None:
            self.value, self._limit = limit * self._margin, limit
        elif math.isclose(limit, self._stated, rel_tol=SAME):
            return
        else:
            # What was learned is kept, as a share of what is stated.
            share = limit / self._stated
            if self.value <= self._limit * BEYOND:
                self.value *= share
            self._limit *= share
        self._stated = limit
        self._start_hold(now, STATED_HOLD)

    def refused(self, now: float, *, sent_rate: float, let_through: float, pause: float) -> None:
        """Take note of a refusal.

        A refusal speaks about the rate at which its request was sent, not about today's: so a
        burst of refusals cuts once, and a statement that explains them is not punished again.

        Args:
            now: The time.
            sent_rate: ``value`` when the refused request was sent.
            let_through: Requests per second let through of late.
            pause: Seconds of silence that the refusal costs.
        """
        self._opening = False
        self._wary = False
        if math.isinf(sent_rate):
            # A burst: what was let through of it is somewhere to start from, not yet a limit.
            self.value = min(self.value, max(let_through, 1.0) * CUT)
            return
        # The limit lies between what was let through and what was refused.
        limit = (min(let_through, sent_rate) + sent_rate) / 2
        if limit * CUT < self.value:
            self.value = limit * CUT
            hold = self._learn(sent_rate, limit)
            self._start_hold(now + pause, max(hold, pause * HOLD_PER_PAUSE))

    def _learn(self, refused: float, limit: float) -> float:
        """Learn where the limit is. Returns the seconds to hold it.

        Args:
            refused: The rate that was refused.
            limit: Where the limit seems to be, judged by that.
        """
        known = self._limit
        was_trial = known * self._margin * 1.001 < refused <= known * BEYOND
        if self._stated is None or not _near(refused, self._stated):
            self._limit = limit
        elif not was_trial:
            self._margin = max(self._margin - WIDER, WIDEST)
        if was_trial:
            return min(self._hold * 2, LONGEST_HOLD)  # it failed where the one before did
        return self._hold if _near(self._limit, known) else SHORT_HOLD

    def grow(self, now: float, seconds: float) -> None:
        """Let time pass during which the rate was what held requests back.

        Args:
            now: The time.
            seconds: How long.
        """
        goal = self._limit * self._margin
        if self._opening or math.isinf(self.value):
            return
        if math.isinf(goal):
            self.value *= math.exp(SEARCH_GROWTH * seconds)
        elif self.value < goal * 0.99:
            self.value = goal - (goal - self.value) * math.exp(-seconds / RECOVERY)
        elif now > self._hold_until:
            if self.value > self._limit * BEYOND:
                self._hold = SHORT_HOLD
            growth = TRIAL_GROWTH * (now - self._hold_until)
            fastest = WARY_GROWTH if self._wary else FASTEST_TRIAL
            self.value *= math.exp(min(growth, fastest) * seconds)

    def _start_hold(self, now: float, seconds: float) -> None:
        self._hold = seconds
        self._hold_until = now + seconds


def _near(rate: float, limit: float) -> bool:
    return limit / BEYOND <= rate <= limit * BEYOND
