"""How far a run is, for people: a bar on a terminal or in a notebook, lines in a log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oumi_fireworks.logs import logger_for

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Progress", "ProgressMeter", "show_progress"]

logger = logger_for(__name__)

RECENT = 10.0
"""Seconds over which the speed is averaged."""

LOG_EVERY = 30.0
"""Seconds between two lines in a log."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What everybody waits for.

    Attributes:
        words: What it is, such as "for the rate limit (429)".
        seconds: For how long already.
    """

    words: str
    seconds: float

    def __str__(self) -> str:
        return f"waiting {self.words} since {_clock(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is at one moment.

    Attributes:
        total: Rows in all, or None if that is not known.
        done: Rows that were answered.
        failed: Rows that were given up.
        refusals: Refusals (429) so far; they cost time, not rows.
        under_way: Requests without an answer yet.
        per_second: Rows finished per second, of late.
        waiting: What everybody waits for, or None.
    """

    total: int | None = None
    done: int = 0
    failed: int = 0
    refusals: int = 0
    under_way: int = 0
    per_second: float = 0.0
    waiting: Waiting | None = None

    @property
    def finished(self) -> int:
        """Rows that are answered or given up."""
        return self.done + self.failed

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at this speed, or None if that is not known."""
        if self.total is None or self.per_second <= 0:
            return None
        return (self.total - self.finished) / self.per_second

    def note(self) -> str:
        """Speed, failures, refusals and time left, in a few words."""
        parts = [f"{self.per_second:.1f} a second"]
        if self.waiting is not None:
            parts.insert(0, str(self.waiting))
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.refusals:
            parts.append(f"{self.refusals} refusals")
        if self.seconds_left is not None:
            parts.append(f"{_clock(self.seconds_left)} left")
        return ", ".join(parts)

    def __str__(self) -> str:
        of_total = "" if self.total is None else f" of {self.total}"
        return f"{self.finished}{of_total} rows, {self.note()}"


class ProgressMeter:
    """Measures the speed of late from how many rows were finished when."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def per_second(self, now: float, finished: int) -> float:
        """Rows finished per second over the last seconds, up to now."""
        points = self._points
        points.append((now, finished))
        while len(points) > 2 and points[1][0] <= now - RECENT:
            points.popleft()
        seconds = now - points[0][0]
        return (finished - points[0][1]) / seconds if seconds > 0 else 0.0


@contextmanager
def show_progress(
    what: str = "Inference", console: Console | None = None
) -> Iterator[Callable[[Progress], None]]:
    """Show how far a run is while it lasts: a bar for a person, lines for a log.

    Args:
        what: What is going on.
        console: Where to show it, if it must not be stderr.

    Yields:
        What to call with the progress, as often as one likes.
    """
    from rich.console import Console

    console = console or Console(stderr=True)
    if console.is_terminal or console.is_jupyter:
        with _bar(what, console) as show:
            yield show
    else:
        lines = LogLines(what, time.monotonic())
        yield lambda progress: lines.show(progress, time.monotonic())


@contextmanager
def _bar(what: str, console: Console) -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    bar = Bar(*columns, console=console, auto_refresh=False, transient=True)
    try:
        with bar:
            task = bar.add_task(what, total=None, note="")

            def show(progress: Progress) -> None:
                bar.update(
                    task, completed=progress.finished, total=progress.total, note=progress.note()
                )
                bar.refresh()

            yield show
    finally:
        # Below another display, the room is given back first: if that display took it at its next
        # turn, on its own thread, it would take a line that is printed meanwhile.
        bar.live.refresh()
        console.print(bar)


class LogLines:
    """A line now and then, for logs that people read later.

    Args:
        what: What is going on.
        now: The time, in seconds on any clock.
    """

    def __init__(self, what: str, now: float) -> None:
        self._what = what
        self._last = now

    def show(self, progress: Progress, now: float) -> None:
        """Log the progress, if it is time for it."""
        if now - self._last >= LOG_EVERY:
            self._last = now
            logger.info("%s: %s", self._what, progress)


def _clock(seconds: float) -> str:
    """Write a span of time as people read it: 1:02:03, or 2:03."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
