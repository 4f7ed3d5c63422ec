"""One run's events: made of what the run shows, and told to every listener."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
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
    RowOutcomes,
    RowsSoFar,
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
from oumi_fireworks.money import Prices, Usage
from oumi_fireworks.safe_text import safe

if TYPE_CHECKING:
    from oumi_fireworks.batch import BatchResults, Snapshot
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
        batch_prices: What tokens of a batch cost; None where no price is known.
        online_prices: What tokens cost online; None where no price is known.
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
        batch_prices: Prices | None = None,
        online_prices: Prices | None = None,
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
        self._rows = RowOutcomes(total=rows, answered=0, rejected=0, failed=0, over_budget=0)
        self._batch_prices, self._online_prices = batch_prices, online_prices
        self._used: dict[str, Usage] = {}
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
                rows=self._rows["total"],
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
                rows=self._rows,
                tokens=_counts(sum(self._used.values(), Usage())) if self._used else None,
                cost=self._whole_cost(),
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
        counts = RowsSoFar(
            total=progress.total or None, answered=progress.succeeded, failed=progress.failed
        )
        tokens, cost = _counts(snapshot.used), _cost(snapshot.used, self._batch_prices)
        if batch not in self._used:
            self._tell(
                BatchUnderWay(**self._stamp(), event="batch_under_way", batch=batch, jobs=jobs)
            )
        self._used[batch] = snapshot.used
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
                        cost=cost,
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
                cost=cost,
                refusals=None,
            )
        )

    def saw_online(self, progress: OnlineProgress) -> None:
        """Take note of how far a run online is."""
        self._used[_ONLINE] = progress.used
        self._progress(
            RunProgress(
                **self._stamp(),
                event="progress",
                batch=None,
                state=None,
                rows=RowsSoFar(
                    total=progress.total, answered=progress.done, failed=progress.failed
                ),
                tokens=_counts(progress.used),
                cost=_cost(progress.used, self._online_prices),
                refusals=progress.refusals,
            )
        )

    def saw_results(self, results: BatchResults) -> None:
        """Take note of what all batches of a run have taken, and its rows that ran online."""
        self._used |= {each.batch_id: each.used for each in results.snapshots}
        if results.online:
            self._used[_ONLINE] = results.online

    def saw_rows(self, *, answered: int, failed: int) -> None:
        """Take note of how far all batches of a run together are, whose rows nobody has counted."""
        self._progress(
            RunProgress(
                **self._stamp(),
                event="progress",
                batch=None,
                state=None,
                rows=RowsSoFar(total=None, answered=answered, failed=failed),
                tokens=_counts(sum(self._used.values(), Usage())),
                cost=self._whole_cost(),
                refusals=None,
            )
        )

    def needs_a_look(self, message: str) -> None:
        """Tell of something that a person should know of."""
        self._tell(NeedsALook(**self._stamp(), event="needs_a_look", message=safe(message)))

    def ended(
        self,
        *,
        answered: int,
        rejected: int = 0,
        failed: int = 0,
        over_budget: int = 0,
        ended_by: Exception | None = None,
    ) -> None:
        """Take note of what the run has come to; its end is told when the context ends.

        Rows that were never sent, since the bound on the cost did not allow it, are told at once.

        Args:
            answered: Rows with an answer.
            rejected: Rows whose answers do not hold.
            failed: Rows without an answer.
            over_budget: Rows that were never sent.
            ended_by: What ended the run early, where it is not raised.
        """
        open_rows = rejected + failed + over_budget
        self._rows = RowOutcomes(
            total=answered + open_rows,
            answered=answered,
            rejected=rejected,
            failed=failed,
            over_budget=over_budget,
        )
        self._outcome = "rows_open" if open_rows else "answered"
        if over_budget:
            self._tell(CapReached(**self._stamp(), event="cap_reached", rows=over_budget))
        self._ended_by = ended_by

    def _outcome_after(
        self, error: BaseException | None
    ) -> Literal["answered", "rows_open", "failed", "interrupted"]:
        if isinstance(error, KeyboardInterrupt):
            return "interrupted"
        # What ends without a word, such as a command that finds nothing to do, has not failed.
        return "failed" if error is not None else self._outcome

    def _whole_cost(self) -> float | None:
        """Return the dollars for all tokens; None where some of them have no known price."""
        costs = [
            _cost(used, self._batch_prices if batch else self._online_prices)
            for batch, used in self._used.items()
            if used
        ]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known and len(known) == len(costs) else None

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


def _counts(used: Usage) -> TokenCounts:
    return TokenCounts(input=used.prompt, cached_input=used.cached, output=used.completion)


def _cost(used: Usage, prices: Prices | None) -> float | None:
    return None if prices is None else float(prices.cost(used))


def _trouble(listener: Listener) -> str:
    return f"{type(listener).__name__} of this run could not be written or sent"
