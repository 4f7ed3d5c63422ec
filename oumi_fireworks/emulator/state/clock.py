"""The emulator's clock: wall time that a test can move, and the pace at which jobs live."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from oumi_fireworks.emulator.wire.numbers import is_amount

_FARTHEST = 1e9
"""Seconds that the clock can be moved by: thirty years, so that its times can be written."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """A point on the clock: how late it really was, and how far the clock had been moved by then.

    Args:
        wall: Real seconds since the epoch.
        advanced: Seconds by which `Clock.advance` had moved the clock in total.
    """

    wall: float
    advanced: float

    @property
    def seconds(self) -> float:
        """What the clock showed, in seconds since the epoch."""
        return self.wall + self.advanced


class Clock:
    """Wall time plus whatever it was advanced by.

    Two rates live on it. Timestamps, signed URLs and rate limits follow `now`, which runs at
    the speed of real time. Jobs and datasets follow `elapsed`, which runs `speed` times as
    fast, so that a job that takes minutes on the service takes moments here, while a URL
    still lives its ten minutes. `advance` moves both by the same number of seconds.

    Args:
        speed: How many times faster than on the service jobs live; 0 stops them, so that only
            `advance` moves them.
        advanced: Seconds by which the clock starts off ahead of real time.
        before_advance: Called before every advance.
        after_advance: Called with the new total after every advance.
    """

    def __init__(
        self,
        speed: float = 1.0,
        advanced: float = 0.0,
        before_advance: Callable[[], None] = lambda: None,
        after_advance: Callable[[float], None] = lambda _total: None,
    ) -> None:
        if not is_amount(speed):
            raise ValueError(f"speed must be a finite, non-negative number, got {speed}")
        self.speed = speed
        self._advanced = advanced
        self._advances: list[tuple[Moment, Moment]] = []
        self._before_advance = before_advance
        self._after_advance = after_advance
        self._lock = threading.Lock()

    def advance(self, seconds: float) -> None:
        """Move the clock forward by this many seconds, for timestamps and jobs alike.

        What jobs are working on is finished first, so that a job's results depend on how
        far the clock was moved, and not on how quick this machine is.
        """
        if not 0 <= seconds <= _FARTHEST:
            raise ValueError(
                f"a clock moves forward only, and by {_FARTHEST:.0f} seconds at most, got {seconds}"
            )
        self._before_advance()
        with self._lock:
            before = self.moment()
            self._advanced += seconds
            self._advances.append((before, Moment(before.wall, self._advanced)))
            self._after_advance(self._advanced)

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return time.time() + self._advanced

    def now_ns(self) -> int:
        """Return the nanoseconds since the epoch."""
        return time.time_ns() + int(self._advanced * 1e9)

    def moment(self) -> Moment:
        """Return the point on the clock that it is at now."""
        return Moment(wall=time.time(), advanced=self._advanced)

    def moment_at(self, seconds: float) -> Moment:
        """Return the point at which the clock showed `seconds` since the epoch.

        An advance counts as time that passed evenly, at the one moment of real time it took.
        """
        advanced = self._advanced
        for before, after in reversed(self._advances):
            if seconds >= after.seconds:
                break
            if seconds >= before.seconds:
                return Moment(before.wall, seconds - before.wall)
            advanced = before.advanced
        return Moment(seconds - advanced, advanced)

    def elapsed(self, since: Moment, until: Moment | None = None, tick: float = 0.0) -> float:
        """Return the seconds of a job's life between two moments.

        Args:
            since: The earlier one.
            until: The later one; None stands for now.
            tick: What passes by itself is rounded down to a multiple of this; what the clock
                was advanced by is not.
        """
        until = until or self.moment()
        lived = (until.wall - since.wall) * self.speed
        if tick:
            lived -= lived % tick
        return max(0.0, lived + until.advanced - since.advanced)

    def when(self, since: Moment, elapsed: float) -> int:
        """Return when a life begun at `since` was `elapsed` seconds old, in ns since the epoch.

        Exact unless the clock was advanced in between; then it reckons as if that had been done
        at the beginning. Never in the future, as long as that age has been reached.
        """
        jumped = self._advanced - since.advanced
        lived = (elapsed - jumped) / self.speed if elapsed > jumped and self.speed else 0.0
        return int((since.wall + since.advanced + min(elapsed, jumped) + lived) * 1e9)


def timestamp(nanoseconds: int) -> str:
    """Return a time in RFC 3339 with nine digits of fraction, as the service writes it."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
