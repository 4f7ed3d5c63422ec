"""How a batch comes along, for the person who waits: alive on a terminal, terse in a log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from oumi_fireworks.api import Phase
from oumi_fireworks.batch.snapshot import UNSEEN
from oumi_fireworks.display.console import console_in_use, log_above
from oumi_fireworks.display.safe_console import SafeConsole
from oumi_fireworks.display.words import dollars, roughly, stopwatch
from oumi_fireworks.grammar import number

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oumi_fireworks.batch import OnProgress, Snapshot

_WORDS = {
    Phase.VALIDATING: "Checking the input",
    Phase.WAITING: "Waiting to start",
    Phase.RUNNING: "Running",
    Phase.FINALIZING: "Writing results",
    Phase.COMPLETED: "Completed",
    Phase.FAILED: "Failed",
    Phase.EXPIRED: "Expired",
    Phase.CANCELLING: "Being cancelled",
    Phase.CANCELLED: "Cancelled",
}
_SPECIAL_WORDS = {
    "JOB_STATE_PAUSED": "Paused by Fireworks",
    "JOB_STATE_CREATING": "Being set up",
    "JOB_STATE_RE_QUEUEING": "Queued again by Fireworks",
    "JOB_STATE_EARLY_STOPPED": "Stopped early",
    UNSEEN: "Looking for it",
}

_BEFORE = "Preparing"
_FRAMES_PER_SECOND = 8

_LOOKS_KEPT = 20
"""Looks at a batch from which its speed is judged."""

_FIRST_SILENCE, _LONGEST_SILENCE = 30.0, 600.0
"""Seconds between two lines in a log: at first, and at the most."""


def state_words(snapshot: Snapshot) -> str:
    """Say in two or three words what a batch is doing."""
    if snapshot.waiting_on_capacity and snapshot.phase is Phase.WAITING:
        return "Waiting for capacity"
    if snapshot.state == "JOB_STATE_RUNNING" and not snapshot.progress.processed:
        return "Running, no row counted yet"  # half an hour of it was seen, and is no trouble
    return _SPECIAL_WORDS.get(snapshot.state) or _WORDS[snapshot.phase]


class TimeLeft:
    """How long the rest of a batch will take, judged by the rows of the last looks.

    A batch does its rows in bursts, so one look says little; and its speed changes with the load
    of the service, so what was long ago says little too.
    """

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque(maxlen=_LOOKS_KEPT)

    def saw(self, now: float, done: int) -> None:
        """Note how many rows are done. Looks at which nothing is done yet do not count."""
        if done and (not self._looks or done > self._looks[-1][1]):
            self._looks.append((now, done))

    def left(self, now: float, total: int) -> float | None:
        """Return the seconds until ``total`` rows are done; None as long as it is a mere guess."""
        if len(self._looks) < 2:
            return None
        (begun, at_first), (latest, at_last) = self._looks[0], self._looks[-1]
        if latest <= begun:
            return None
        expected = (total - at_last) * (latest - begun) / (at_last - at_first) - (now - latest)
        return expected if expected > 0 else None


@dataclass(frozen=True)
class ProgressView:
    """What is to be shown at one moment.

    Attributes:
        batch_id: The batch; empty before it is known.
        words: What it does.
        total: Rows; 0 when unknown.
        done: Rows finished, well or badly.
        failed: Rows that failed.
        elapsed: Seconds waited so far.
        left: Seconds to go, where that can be known.
        is_over: Whether it has ended.
        is_well: Whether it has ended well.
        jobs: Jobs of the batch.
        jobs_ended: Those of them that have ended.
        cost: Dollars so far; None where that is not known.
    """

    batch_id: str
    words: str
    total: int
    done: int
    failed: int
    elapsed: float
    left: float | None
    is_over: bool
    is_well: bool
    jobs: int = 1
    jobs_ended: int = 0
    cost: Decimal | None = None

    def rows(self) -> str:
        """Return the rows as text."""
        if not self.done and not self.is_over:
            return number(self.total, "row") if self.total else ""
        failed = f", {self.failed:,} failed" if self.failed else ""
        jobs = f", {self.jobs_ended} of {self.jobs} jobs ended" if self.jobs > 1 else ""
        return f"{self.done:,} of {number(self.total, 'row')}{failed}{jobs}"

    def times(self) -> str:
        """Return how long it has taken, and how long it may take, as text."""
        left = "" if self.left is None else f", about {roughly(self.left)} left"
        cost = f", {dollars(self.cost)}" if self.cost else ""
        return f"{stopwatch(self.elapsed)} elapsed{left}{cost}"

    def line(self) -> str:
        """Return everything on one line, for a log."""
        parts = [self.words, self.rows(), self.times()]
        subject = f"{self.batch_id}: " if self.batch_id else ""
        return subject + ", ".join(part for part in parts if part)


class BatchProgress:
    """Shows on stderr how a batch comes along, while the block runs.

    On a terminal two lines are drawn anew several times a second, below whatever is logged or
    printed to stderr. Elsewhere a plain line is printed when the state changes, and now and then
    in between. Use::

        with BatchProgress(total) as on_progress:
            await run.advance(client, on_progress)

    Args:
        total: Rows in the batch, as far as known before it has begun.
        console: Where to show it. Default: stderr, or below the live display of an Oumi command.
        clock: Seconds from any starting point.
        cost_of: What a batch has cost so far; None where that is not known.
    """

    def __init__(
        self,
        total: int | None = None,
        console: Console | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        cost_of: Callable[[Snapshot], Decimal | None] = lambda snapshot: None,
    ) -> None:
        self._cost_of = cost_of
        self._cost: Decimal | None = None
        self._total = total or 0
        self._console = console or console_in_use() or SafeConsole(stderr=True, highlight=False)
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._time_left = TimeLeft()
        self._spinner = Spinner("dots", style="cyan")
        self._silence = _FIRST_SILENCE
        self._said: tuple[float, str, int] | None = None
        self._live: Live | None = None
        self._is_left = self._is_given_up = False
        self._open = ExitStack()

    def __enter__(self) -> OnProgress:
        self._begun = self._clock()
        if self._console.is_interactive:
            self._live = Live(
                get_renderable=self.frame,
                console=self._console,
                refresh_per_second=_FRAMES_PER_SECOND,
                transient=True,  # the last frame is printed instead
                redirect_stdout=False,  # it is for data
            )
            self._open.enter_context(self._live)
            # Below another display, this makes room now and here. If that display did so at its
            # next turn, on its own thread, a line logged meanwhile would be drawn across it.
            self._live.refresh()
            self._open.enter_context(log_above(self._console))
        else:
            self._say()
        return self._update

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_left, self._is_given_up = True, error is not None
        self._open.close()
        if self._live is None:
            return
        self._live.refresh()  # gives the room back, for the same reason
        if self._snapshot is not None or not self._is_given_up:  # there is something worth keeping
            self._console.print(self.frame())

    def standing(self) -> ProgressView:
        """Return what there is to show now."""
        now, snapshot = self._clock(), self._snapshot
        elapsed = now - self._begun
        if snapshot is None:
            return ProgressView("", _BEFORE, self._total, 0, 0, elapsed, None, False, False)
        progress = snapshot.progress
        total = progress.total or self._total
        return ProgressView(
            batch_id=snapshot.batch_id,
            words=state_words(snapshot),
            total=total,
            done=progress.processed,
            failed=progress.failed,
            elapsed=elapsed,
            left=self._time_left.left(now, total) if snapshot.phase is Phase.RUNNING else None,
            is_over=snapshot.is_terminal,
            is_well=snapshot.phase is Phase.COMPLETED and not progress.failed,
            jobs=len(snapshot.jobs),
            jobs_ended=len([job for job in snapshot.jobs if job.phase.is_terminal]),
            cost=self._cost,
        )

    def _update(self, snapshot: Snapshot) -> None:
        if self._snapshot is None or self._snapshot.batch_id != snapshot.batch_id:
            self._time_left = TimeLeft()  # a further batch for the rows that failed
        self._snapshot = snapshot
        self._cost = self._cost_of(snapshot)
        self._time_left.saw(self._clock(), snapshot.progress.processed)
        if self._live is None:
            self._say()

    def _say(self) -> None:
        """Print a line if there is news, or has been none for long."""
        standing, now = self.standing(), self._clock()
        if self._said is not None:
            at, words, done = self._said
            if standing.words == words:
                due = self._silence if standing.done != done else _LONGEST_SILENCE
                if now - at < due:
                    return
                self._silence = min(self._silence * 2, _LONGEST_SILENCE)
            else:
                self._silence = _FIRST_SILENCE
        self._said = now, standing.words, standing.done
        self._console.print(standing.line(), highlight=False, markup=False, soft_wrap=True)

    def frame(self) -> RenderableType:
        """Return the two lines that a terminal shows now."""
        standing = self.standing()
        mark: RenderableType = self._spinner
        words = standing.words
        if self._is_given_up and not standing.is_over:
            mark = Text("–", style="dim")
        elif standing.is_over and not self._is_left:
            words += ", fetching results"  # gigabytes may take a while
        elif standing.is_well:
            mark = Text("✓", style="green")
        elif standing.is_over:
            mark = Text("!", style="bold yellow")
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column()
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True, justify="right")
        bar: RenderableType = ""
        if standing.total and (standing.done or standing.is_over):
            bar = ProgressBar(standing.total, standing.done)
        head.add_row(mark, Text(words, style="bold"), bar, Text(standing.rows()))
        # Where there is no room for both, the id is cut and not the cost.
        details = " · ".join(part for part in (standing.times(), standing.batch_id) if part)
        foot = Table.grid(padding=(0, 1))
        foot.add_row(" ", Text(details, style="dim", no_wrap=True, overflow="ellipsis"))
        # The last line is not filled up: a ^C that the terminal echoes there would begin another.
        return Group(head, foot)
