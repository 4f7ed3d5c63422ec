"""One run's events: made of what the run shows, and told to every listener."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from oumi_fireworks.events.event import (
    BatchEnded,
    BatchUnderWay,
    CapReached,
    Event,
    NeedsALook,
    RowCounts,
    RunEnded,
    RunProgress,
    RunStarted,
    Stamp,
    TokenCounts,
)
from oumi_fireworks.events.journal import Journal
from oumi_fireworks.events.listener import Listener
from oumi_fireworks.events.notifications import Notifications
from oumi_fireworks.events.telemetry import telemetry_of
from oumi_fireworks.logs import logger_for
from oumi_fireworks.safe_text import safe

if TYPE_CHECKING:
    from oumi_fireworks.batch import Snapshot
    from oumi_fireworks.online import OnlineProgress

logger = logger_for(__name__)


_SILENCE = 5.0
"""Seconds between two events that only report progress."""

_ONLINE = ""
"""Stands for a batch's id where there is none."""

_LOGGER = "oumi_fireworks"
"""Whose warnings are events that need a look."""

_OF_OUTCOMES = {"oumi_fireworks.batch.fetch", "oumi_fireworks.engine.failed_rows"}
"""Loggers that name failed rows: how many there are is in the events on the end of a run."""


def listeners_of(journal: str | None, urls: Sequence[str]) -> list[Listener]:
    """Return everybody who listens, in an order in which nothing is lost.

    Args:
        journal: A file for the events, or None.
        urls: Where to send notifications.

    Raises:
        WriteError: If the file cannot be written.
        ConfigurationError: If notifications cannot be sent there.
    """
    found: list[Listener] = []
    if urls:
        found.append(Notifications(urls))
    if journal is not None:
        found.insert(0, Journal(Path(journal)))
    telemetry = telemetry_of(os.environ)
    return found if telemetry is None else [*found, telemetry]


class RunEvents:
    """Tells listeners what happens in a run, from its begin to its end.

    A listener that fails is left out from then on, with a warning; the run goes on. Warnings of
    this package are events too while the run lasts.

    Use::

        with RunEvents(listeners, mode="batch", model=model) as events:
            ...  # events.saw_batch(snapshot) after each look
            events.ended(answered=answered, failed=failed)

    Args:
        listeners: Who wants to know.
        mode: How the rows are run.
        model: By its whole name.
        rows: How many there are, or None.
        output: Where the answers go, or None.
        clock: Gives seconds; two readings are compared.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        mode: Literal["online", "batch"],
        model: str,
        rows: int | None = None,
        output: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listeners = listeners
        self._hearing = list(listeners)
        self._mode: Literal["online", "batch"] = mode
        self._model, self._output, self._clock = model, output, clock
        self._run = uuid.uuid4().hex[:12]
        self._lock = threading.RLock()
        self._handler = _Warnings(self.needs_a_look)
        self._begun = clock()
        self._told_at = -_SILENCE
        self._counts = RowCounts(total=rows, answered=0, failed=0)
        self._tokens: dict[str, TokenCounts] = {}
        self._ended_batches: set[str] = set()
        self._last: tuple[object, ...] = ()
        self._outcome: Literal["answered", "rows_open"] = "answered"
        self._ended_by: Exception | None = None

    def __enter__(self) -> Self:
        if self._listeners:
            logging.getLogger(_LOGGER).addHandler(self._handler)
        self._tell(
            RunStarted(
                **self._stamp(),
                event="run_started",
                mode=self._mode,
                model=self._model,
                rows=self._counts["total"],
                output=self._output,
            )
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        logging.getLogger(_LOGGER).removeHandler(self._handler)
        error = error or self._ended_by
        self._tell(
            RunEnded(
                **self._stamp(),
                event="run_ended",
                outcome=self._outcome_after(error),
                rows=self._counts,
                tokens=_sum(self._tokens.values()),
                seconds=round(self._clock() - self._begun, 3),
                output=self._output,
                error=None if error is None else safe(str(error) or type(error).__name__),
            )
        )
        for each in self._listeners:
            try:
                each.close()
            except Exception as problem:
                logger.warning("%s: %s", _trouble(each), problem)

    def saw_batch(self, snapshot: Snapshot) -> None:
        """Take note of a look at a batch."""
        progress, batch = snapshot.progress, snapshot.batch_id
        jobs = [job.id for job in snapshot.jobs]
        counts = RowCounts(
            total=progress.total or None, answered=progress.succeeded, failed=progress.failed
        )
        tokens = TokenCounts(
            input=progress.input_tokens,
            cached_input=progress.cached_tokens,
            output=progress.output_tokens,
        )
        if batch not in self._tokens:
            self._tell(
                BatchUnderWay(**self._stamp(), event="batch_under_way", batch=batch, jobs=jobs)
            )
        self._tokens[batch] = tokens
        if snapshot.is_terminal:
            if batch not in self._ended_batches:
                self._ended_batches.add(batch)
                self._tell(
                    BatchEnded(
                        **self._stamp(),
                        event="batch_ended",
                        batch=batch,
                        jobs=jobs,
                        state=snapshot.state,
                        rows=counts,
                        tokens=tokens,
                        error=snapshot.error and safe(snapshot.error),
                    )
                )
            return
        self._progress(
            RunProgress(
                **self._stamp(),
                event="progress",
                batch=batch,
                state=snapshot.state,
                rows=counts,
                tokens=tokens,
                refusals=None,
            )
        )

    def saw_online(self, progress: OnlineProgress) -> None:
        """Take note of how far a run online is."""
        self._progress(
            RunProgress(
                **self._stamp(),
                event="progress",
                batch=None,
                state=None,
                rows=RowCounts(
                    total=progress.total, answered=progress.done, failed=progress.failed
                ),
                tokens=None,
                refusals=progress.refusals,
            )
        )

    def count_tokens(self, *, input: int, output: int) -> None:
        """Take note of what one more answer online has taken."""
        before = self._tokens.get(_ONLINE, TokenCounts(input=0, cached_input=0, output=0))
        self._tokens[_ONLINE] = TokenCounts(
            input=before["input"] + input,
            cached_input=before["cached_input"],
            output=before["output"] + output,
        )

    def needs_a_look(self, message: str) -> None:
        """Tell of something that a person should know of."""
        self._tell(NeedsALook(**self._stamp(), event="needs_a_look", message=safe(message)))

    def cap_reached(self, rows: int) -> None:
        """Tell that rows were not sent, since the bound on the cost did not allow it."""
        self._tell(CapReached(**self._stamp(), event="cap_reached", rows=rows))

    def ended(self, *, answered: int, failed: int, ended_by: Exception | None = None) -> None:
        """Take note of what the run has come to; its end is told when the context ends.

        Args:
            answered: Rows with an answer.
            failed: Rows without one.
            ended_by: What ended the run early, where it is not raised.
        """
        self._counts = RowCounts(total=answered + failed, answered=answered, failed=failed)
        self._outcome = "rows_open" if failed else "answered"
        self._ended_by = ended_by

    def _outcome_after(
        self, error: BaseException | None
    ) -> Literal["answered", "rows_open", "failed", "interrupted"]:
        if isinstance(error, KeyboardInterrupt):
            return "interrupted"
        # What ends without a word, such as a command that finds nothing to do, has not failed.
        return "failed" if error is not None else self._outcome

    def _progress(self, event: RunProgress) -> None:
        """Tell of progress, unless nothing has changed or it was told a moment ago."""
        now = self._clock()
        news = (event["batch"], event["state"], event["rows"], event["refusals"])
        has_moved = news[:2] != self._last[:2]
        if news == self._last or (not has_moved and now - self._told_at < _SILENCE):
            return
        self._last, self._told_at = news, now
        self._tell(event)

    def _stamp(self) -> Stamp:
        return {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "run": self._run}

    def _tell(self, event: Event) -> None:
        failed: list[tuple[Listener, Exception]] = []
        with self._lock:
            for each in list(self._hearing):
                try:
                    each.hear(event)
                except Exception as problem:
                    self._hearing.remove(each)
                    failed.append((each, problem))
        for each, why in failed:
            logger.warning("%s, and is left out from here on: %s", _trouble(each), why)


class _Warnings(logging.Handler):
    """Passes warnings on."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        if record.name not in _OF_OUTCOMES:
            self._tell(record.getMessage())


def _sum(counts: Iterable[TokenCounts]) -> TokenCounts | None:
    counts = list(counts)
    if not counts:
        return None
    return TokenCounts(
        input=sum(each["input"] for each in counts),
        cached_input=sum(each["cached_input"] for each in counts),
        output=sum(each["output"] for each in counts),
    )


def _trouble(listener: Listener) -> str:
    return f"{type(listener).__name__} of this run could not be written or sent"
