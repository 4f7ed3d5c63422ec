"""How far an online run is, for people: a bar on a terminal or in a notebook, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from oumi_fireworks.display.console import log_above
from oumi_fireworks.display.words import dollars, stopwatch
from oumi_fireworks.grammar import number
from oumi_fireworks.logs import logger_for
from oumi_fireworks.online import OnlineProgress

logger = logger_for(__name__)

LOG_EVERY = 30.0
"""Seconds between two lines in a log."""


def note(progress: OnlineProgress) -> str:
    """Return the speed, failures, refusals, time left and cost in a few words."""
    parts = [f"{progress.per_second:,.1f} a second"]
    if progress.waiting is not None:
        waiting = progress.waiting
        parts.insert(0, f"waiting {waiting.words} since {stopwatch(waiting.seconds)}")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.refusals:
        parts.append(number(progress.refusals, "refusal"))
    if progress.seconds_left is not None:
        parts.append(f"{stopwatch(progress.seconds_left)} left")
    if progress.cost:
        parts.append(dollars(progress.cost))
    return ", ".join(parts)


def rows(progress: OnlineProgress) -> str:
    """Return how many rows are done, of how many where that is known."""
    if progress.total is None:
        return number(progress.finished, "row")
    return f"{progress.finished:,} of {number(progress.total, 'row')}"


def line(progress: OnlineProgress) -> str:
    """Return everything on one line, for a log."""
    return f"{rows(progress)}, {note(progress)}"


@contextmanager
def show_progress(
    what: str = "Inference", console: Console | None = None
) -> Iterator[Callable[[OnlineProgress], None]]:
    """Show how far a run is while it lasts: a bar below the log for a person, else lines in it.

    Args:
        what: What is going on.
        console: Where to show it, if it must not be stderr.

    Yields:
        What to call with the progress, as often as one likes.
    """
    console = console or Console(stderr=True)
    if console.is_terminal or console.is_jupyter:
        above = log_above(console) if console.is_terminal else nullcontext()
        with _bar(what, console) as show, above:
            yield show
    else:
        lines = LogLines(what, time.monotonic())
        yield lambda progress: lines.show(progress, time.monotonic())


class _Bar(Progress):
    """A bar with how many rows are done, and below it what else there is to say.

    Two lines, since one would have no room for the rows on a terminal of 80 columns.
    """

    note = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the two lines."""
        yield self.make_tasks_table(self.tasks)
        if self.note:
            yield Text(f"  {self.note}", style="dim", no_wrap=True, overflow="ellipsis")


@contextmanager
def _bar(what: str, console: Console) -> Iterator[Callable[[OnlineProgress], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
    )
    bar = _Bar(*columns, console=console, auto_refresh=False, transient=True, expand=True)
    try:
        with bar:
            task = bar.add_task(what, total=None, rows="")

            def show(progress: OnlineProgress) -> None:
                bar.note = note(progress)
                bar.update(
                    task, completed=progress.finished, total=progress.total, rows=rows(progress)
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

    def show(self, progress: OnlineProgress, now: float) -> None:
        """Log the progress, if it is time for it."""
        if now - self._last >= LOG_EVERY:
            self._last = now
            logger.info("%s: %s", self._what, line(progress))
