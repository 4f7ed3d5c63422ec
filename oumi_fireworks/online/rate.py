"""The rate that refusals leave, where no stated limit explains them.

Decisions only: no clock, no network. Time is passed in, in seconds on any clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

__all__ = ["Rate", "Round"]

ROUND, FEWEST, LONGEST_ROUND = 1.0, 20, 3.0
"""A round lasts this many seconds at least, and sends this many requests unless it takes longer.
One that is interrupted for longer is forgotten."""

LATELY = 3.0
"""Seconds over which it is counted what was let through, where a round ends early."""

ALARM, ALARM_SHARE = 8, 0.4
"""So many refusals, if they are this share of what came since the first, end a round at once."""

CUT = 0.85
"""The part of the rate that was let through which is tried after refusals."""

MARGIN = 0.97
"""The part of a limit that is used: the rest is for clocks and networks that are not even."""

CHECKED = 3
"""Rounds at lower and lower rates that must be refused alike before the rate is acquitted."""

FEW = 0.1
"""The share of refusals up to which a round is not believed to have been far above the limit."""

NEAR = 1.25
"""Limits closer than this factor are taken for the same one, found again."""

LEAST = 1.0
"""Requests a second that a limit is believed to let through at least."""

NUDGE = 0.99
"""What is left of a limit after a round with a refusal that chance may explain."""

MOST_NOISE = 0.35
"""The largest share of refusals that is believed to have nothing to do with the rate."""

SIGMAS = 3.0
"""How far refusals must exceed what chance explains, in standard deviations."""

SHORT_HOLD, LONGEST_HOLD = 3.0, 30.0
"""Seconds to stay at a limit before trying beyond it; each trial in vain doubles them."""

TRIAL, COARSE_TRIAL, FASTEST_TRIAL = 1.05, 1.4, 1.5
"""By how much a trial exceeds the limit, and one that was found by a few refusals; each round that
it is let through, it grows further."""

FIRST_GRACE = 0.25
"""Seconds in which a refusal comes, until one is seen that took longer (captures: 0.26)."""


@dataclass(slots=True, eq=False)
class Round:
    """What was sent at one rate, and how much of it was refused.

    Attributes:
        rate: Requests a second that were allowed.
        began: When it began.
        ended: When it ended, or None.
        sent: Requests that were sent.
        refused: Those of them that were refused.
        sent_before_refusal: Requests that had been sent before the first of them.
        passed_lately: Requests a second that were let through before its end, pauses included.
        held: Whether the rate held requests back.
        paused: Seconds that it was interrupted for; it began as much earlier.
    """

    rate: float
    began: float
    ended: float | None = None
    sent: int = 0
    refused: int = 0
    sent_before_refusal: int = 0
    passed_lately: float = 0.0
    held: bool = False
    paused: float = 0.0

    @property
    def share(self) -> float:
        """The share that was refused."""
        return self.refused / self.sent if self.sent else 0.0

    @property
    def is_short(self) -> bool:
        """Whether it was ended early."""
        return self.ended is not None and self.ended - self.began < ROUND

    def let_through(self) -> float:
        """Return the requests a second that the service lets through.

        A limiter may count by the second, and refuse the rest of one, or refill a bucket, and let
        through a part of what comes: the larger estimate is right.
        """
        assert self.ended is not None
        seconds = max(self.ended - self.began, 1e-3)
        if self.paused and self.share > FEW:  # meanwhile a bucket was refilled
            return (self.sent - self.refused) / (seconds + self.paused)
        after = self.sent - self.sent_before_refusal
        passed_after = 1.0 - self.refused / after if after else 0.0
        passed = (self.sent - self.refused) / seconds
        by_second = self.passed_lately if self.is_short else passed
        return max(by_second, self.sent / seconds * passed_after)


@dataclass(slots=True, eq=False)
class _Suspicion:
    """That refusals have to do with the rate, until lower rates were tried.

    Attributes:
        value: The rate that was allowed before.
        limit: The limit that was known before.
        rounds: What was sent at that rate and at lower and lower ones.
    """

    value: float
    limit: float
    rounds: list[Round]

    def noise(self) -> float | None:
        """Return the share that is refused whatever the rate, or None as long as it depends."""
        if len(self.rounds) < CHECKED:
            return None
        shares = [each.share for each in self.rounds[-CHECKED:]]
        if max(shares) > MOST_NOISE or min(shares) < max(shares) / 2:
            return None
        return sum(e.refused for e in self.rounds) / sum(e.sent for e in self.rounds)


class Rate:
    """The rate at which requests may be sent, judged round by round.

    Refusals beyond chance cut the rate to what was let through. The round after that is a check:
    if the lower rate is refused as large a share, the rate is not the reason. Then that share is
    taken for noise, and the rate is what it was. Otherwise a limit is found. After a while it is
    tried whether it has risen, a little at first.

    Attributes:
        value: Requests a second; infinite while no limit is known.
        noise: The share of requests that is refused whatever the rate.
        grace: Seconds in which a refusal comes.
    """

    def __init__(self) -> None:
        self.value = math.inf
        self.noise = 0.0
        self.grace = FIRST_GRACE
        self._delay = 0.0  # of the last refusal
        self._paused_at: float | None = None
        self._limit = math.inf
        self._hold = SHORT_HOLD
        self._hold_until = -math.inf
        self._trial = TRIAL
        self._suspect: _Suspicion | None = None
        self._current: Round | None = None
        self._ended: deque[Round] = deque()
        self._first_sent_at = math.inf
        self._sent_lately: deque[float] = deque()
        self._refused_lately: list[float] = []

    def sent(self, now: float) -> Round:
        """Count a request; return the round that it belongs to."""
        current = self._current
        if current is not None and self._paused_at is not None:
            paused = now - self._paused_at
            current.paused += paused
            current.began += paused
            if paused > LONGEST_ROUND:  # what it saw is long ago
                current = None
        self._paused_at = None
        if current is None:
            current = self._current = Round(self.value, now)
        elif now >= current.began + (ROUND if current.sent >= FEWEST else LONGEST_ROUND):
            self._end_round(now)
            current = self._current = Round(self.value, now)
        while self._ended and now >= (self._ended[0].ended or 0.0) + self.grace:
            self._judge(self._ended.popleft(), now)
            if self._current is None:  # the rate is another one now
                current = self._current = Round(self.value, now)
        current.sent += 1
        self._first_sent_at = min(now, self._first_sent_at)
        self._sent_lately.append(now)
        while self._sent_lately[0] <= now - LATELY:
            self._sent_lately.popleft()
        return current

    def held(self) -> None:
        """Take note that the rate holds a request back."""
        if self._current is not None:
            self._current.held = True

    def refused(self, now: float, round_: Round, sent_at: float) -> None:
        """Count a refusal that no stated limit explains.

        Args:
            now: The time.
            round_: The round of the request.
            sent_at: When it was sent.
        """
        self._delay = now - sent_at
        self.grace = max(FIRST_GRACE, 2 * self._delay, self.grace * 0.9)
        if not round_.refused:
            from_it_on = sum(at >= sent_at for at in self._sent_lately)
            round_.sent_before_refusal = max(0, round_.sent - from_it_on)
        round_.refused += 1
        self._refused_lately.append(sent_at)
        if round_ is self._current and self._is_alarming(round_):
            self.judge_now(now)

    def judge_now(self, now: float) -> None:
        """End the round early, since nothing is sent for a while or too much was refused.

        What was sent just now may still be refused, and does not count. Where too little is left
        to judge, the round goes on later.
        """
        round_ = self._current
        if round_ is None:
            return
        decided_until = now - self._delay
        undecided = sum(at > decided_until for at in self._sent_lately)
        decided = max(round_.sent - undecided, round_.refused)
        if decided < FEWEST and round_.refused < decided:
            self._paused_at = now
            return
        round_.sent = decided
        self._ended.clear()  # what was before is old news
        self._end_round(max(decided_until, round_.began))
        self._judge(self._ended.pop(), now)
        self._current = None

    def _end_round(self, now: float) -> None:
        assert self._current is not None
        self._current.ended = now
        span = min(LATELY, max(ROUND, now - self._first_sent_at))
        sent = sum(at > now - span for at in self._sent_lately)
        self._refused_lately = [at for at in self._refused_lately if at > now - LATELY]
        refused = sum(at > now - span for at in self._refused_lately)
        self._current.passed_lately = (sent - refused) / span
        self._ended.append(self._current)
        self._current = None

    def _judge(self, round_: Round, now: float) -> None:
        if round_.refused == round_.sent or round_.rate > self.value:
            return  # where nothing gets through at any rate; or a rate that is given up already
        if self._suspect is not None:
            self._judge_check(self._suspect, round_, now)
        elif not self._is_excess(round_):
            self.noise += 0.1 * (min(round_.share, MOST_NOISE) - self.noise) if self.noise else 0.0
            if round_.refused and not self.noise and self._limit < math.inf:
                self._set(self.value * NUDGE, self._limit * NUDGE)
            elif round_.held and not (self._current and self._current.refused):
                self._grow(round_, now)
        elif round_.let_through() > self._limit * CUT:
            if round_.rate > self._limit:
                self._end_trial(round_, now)
            else:  # the limit that is known, a little lower
                self._limit = min(round_.let_through(), self._limit * MARGIN)
                self._stay(now)
        elif round_.sent >= FEWEST:
            self._suspect = _Suspicion(self.value, self._limit, [round_])
            self._cut(round_)

    def _judge_check(self, suspicion: _Suspicion, check: Round, now: float) -> None:
        """Judge a round after a cut."""
        if not self._is_excess(check) and (not self.noise or check.share < self.noise):
            self._suspect = None
            self.noise = check.share if self.noise else 0.0
            is_known = self._limit >= suspicion.limit / NEAR
            self._hold = min(self._hold * 2, LONGEST_HOLD) if is_known else SHORT_HOLD
            if suspicion.limit == math.inf and suspicion.rounds[-1].is_short:  # hardly known
                self._trial, self._hold_until = COARSE_TRIAL, now
            else:
                self._trial, self._hold_until = TRIAL, now + self._hold
            self._set(self._limit * MARGIN, self._limit)
            return
        if check.sent < FEWEST:
            return
        suspicion.rounds.append(check)
        if (noise := suspicion.noise()) is not None:
            self._suspect = None
            self.noise = noise
            self._set(suspicion.value, suspicion.limit)
        else:
            self._cut(check)

    def _cut(self, round_: Round) -> None:
        let_through = max(round_.let_through(), LEAST)
        self._set(min(self.value, let_through * CUT), let_through)

    def _set(self, value: float, limit: float) -> None:
        self.value, self._limit = value, limit
        self._current = None
        self._ended.clear()

    def _grow(self, round_: Round, now: float) -> None:
        """Try beyond the limit after a while, and go on while that is let through."""
        if round_.rate > self._limit:
            self._limit = round_.rate
            self._trial = min(self._trial + TRIAL - 1.0, FASTEST_TRIAL)
            self._hold = SHORT_HOLD
        elif now < self._hold_until:
            return
        self._set(self._limit * self._trial, self._limit)

    def _end_trial(self, round_: Round, now: float) -> None:
        """Go back below the limit, and stay there the longer."""
        if self._trial >= COARSE_TRIAL:  # the limit is somewhere between this rate and the last
            self._limit = (self._limit + min(round_.let_through(), round_.rate)) / 2
        self._stay(now)

    def _stay(self, now: float) -> None:
        """Stay below the limit, longer than the last time."""
        self._hold = min(self._hold * 2, LONGEST_HOLD)
        self._hold_until = now + self._hold
        self._trial = TRIAL
        self._set(self._limit * MARGIN, self._limit)

    def _is_alarming(self, round_: Round) -> bool:
        """Tell whether a round need not go on: a trial is over as soon as it is refused."""
        if round_.rate > self._limit:
            return round_.refused >= 2 and self._is_excess(round_)
        since_refusal = round_.sent - round_.sent_before_refusal
        return round_.refused >= max(
            ALARM, ALARM_SHARE * since_refusal, 2 * self.noise * since_refusal
        )

    def _is_excess(self, round_: Round) -> bool:
        expected = self.noise * round_.sent
        chance = SIGMAS * math.sqrt(expected * (1 - self.noise))
        return round_.refused > expected + chance + 1
