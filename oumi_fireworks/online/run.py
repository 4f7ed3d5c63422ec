"""One run of a pump: its workers, and what becomes of each row."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from oumi_fireworks.api.transport import TRANSPORT_FAILURES, describe
from oumi_fireworks.errors import (
    ConnectionFailedError,
    FireworksError,
    InvalidRequestError,
    MalformedAnswerError,
    ServerError,
)
from oumi_fireworks.online.answers import Completion, completion_in, tokens_used
from oumi_fireworks.online.backlog import Backlog, Row
from oumi_fireworks.online.ceilings import Tokens, tokens_at_most
from oumi_fireworks.online.line import Line
from oumi_fireworks.online.pacing import Leave
from oumi_fireworks.online.progress import Progress, ProgressMeter
from oumi_fireworks.online.retries import Next, RetryBudget, next_step
from oumi_fireworks.online.settings import PumpSettings
from oumi_fireworks.online.signals import SILENCE, Signals

__all__ = ["OnOutcome", "OnProgress", "PumpReport", "Run"]

OnOutcome = Callable[[int, Completion | FireworksError], None]
OnProgress = Callable[[Progress], None]

PROGRESS_EVERY = 0.5
"""Seconds between two reports of progress."""


@dataclass(frozen=True, slots=True)
class PumpReport:
    """What a run did.

    Attributes:
        done: Rows that were answered.
        failed: Rows that were given up.
        refusals: Refusals (429) on the way.
        retries: How often a row was tried again for another reason.
        seconds: How long it took.
    """

    done: int
    failed: int
    refusals: int
    retries: int
    seconds: float


class Run:
    """One call of :meth:`~oumi_fireworks.online.pump.Pump.run`.

    Args:
        line: The line to the service, which other runs may share.
        settings: How the pump works.
        requests: The caller's number and the body of each request.
        on_outcome: Takes the outcomes as they come.
    """

    def __init__(
        self,
        line: Line,
        settings: PumpSettings,
        requests: Iterable[tuple[int, Mapping[str, Any]]],
        on_outcome: OnOutcome,
    ) -> None:
        self._line = line
        self._gate = line.gate
        self._settings = settings
        self._on_outcome = on_outcome
        self._budget = RetryBudget(
            settings.max_retries, settings.backoff_base, settings.backoff_max
        )
        self._backlog = Backlog(self._rows(requests), lambda: self._gate.pacer.window.size)
        self._where = f"POST {urlsplit(settings.url).path}"
        self._secret = settings.secret
        self._workers = 0
        self._ended = False
        self._done = self._failed = self._refusals = self._retries = 0

    async def finish(self, total: int | None, on_progress: OnProgress | None) -> PumpReport:
        """Work until every row has an outcome.

        Args:
            total: How many rows there are, for progress.
            on_progress: Called about twice a second, and at the end.
        """
        began = self._line.loop.time()
        failure: BaseException | None = None
        with _Reports(self, total, on_progress):
            try:
                async with asyncio.TaskGroup() as self._group:
                    self._hire()
            except BaseExceptionGroup as failures:
                failure = failures.exceptions[0]
        if failure is not None:
            raise failure
        return PumpReport(
            done=self._done,
            failed=self._failed,
            refusals=self._refusals,
            retries=self._retries,
            seconds=self._line.loop.time() - began,
        )

    def progress(self, total: int | None, per_second: float) -> Progress:
        """How far it is."""
        return Progress(
            total=total,
            done=self._done,
            failed=self._failed,
            refusals=self._refusals,
            under_way=self._gate.pacer.under_way,
            per_second=per_second,
        )

    def _rows(self, requests: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Row]:
        """Encode the requests, one when it is needed."""
        count_tokens = self._gate.pacer.ceilings.count_tokens
        for index, body in requests:
            try:
                encoded = orjson.dumps(body)
            except TypeError as error:
                self._deliver(index, InvalidRequestError(f"Request {index} is not JSON: {error}"))
                continue
            need = tokens_at_most(body) if count_tokens else Tokens()
            yield Row(index, next(self._line.orders), encoded, need)

    def _hire(self) -> None:
        """Have one more worker, if there is work and room for it."""
        if self._workers < self._gate.pacer.window.size and not self._backlog.exhausted:
            self._workers += 1
            self._group.create_task(self._work())

    async def _work(self) -> None:
        try:
            while (row := await self._backlog.next()) is not None:
                self._hire()
                while not await self._send(row):
                    pass
                if self._settings.politeness and not self._backlog.exhausted:
                    await asyncio.sleep(self._settings.politeness)
        except BaseException:
            # The others are cancelled at the loop's next turn only. Until then they may hand over
            # what has arrived, but not send anything more, which would be paid for nothing.
            self._ended = True
            raise

    async def _send(self, row: Row) -> bool:
        """Send a row once. Returns False if it was refused and is to be sent again."""
        leave = await self._gate.enter(row.order, row.need)
        if self._ended:
            self._gate.withdrawn(leave)
            raise asyncio.CancelledError
        try:
            answer = await self._line.session.post(row.body)
        except TRANSPORT_FAILURES as error:
            # A server that is gone is not one that has too much to do.
            self._gate.failed(leave, SILENCE, overloaded=isinstance(error, TimeoutError))
            self._again(row, ConnectionFailedError(f"{self._where}: {describe(error)}"))
            return True
        except MalformedAnswerError as error:
            self._gate.failed(leave, SILENCE, overloaded=False)
            self._again(row, error)
            return True
        except BaseException:
            self._gate.withdrawn(leave)
            raise
        signals = Signals.read(answer.headers)
        try:
            completion = completion_in(answer, where=self._where, secret=self._secret)
        except FireworksError as error:
            return self._handle(error, row, leave, signals)
        self._gate.answered(leave, signals, tokens_used(completion))
        self._deliver(row.index, completion)
        return True

    def _handle(self, error: FireworksError, row: Row, leave: Leave, signals: Signals) -> bool:
        """Do what an error asks for. Returns False if the row is to be sent again."""
        step = next_step(error)
        if step is Next.WHEN_LET_IN:
            self._refusals += 1
            self._gate.refused(leave, signals)
            self._check_patience(row, error)
            return False
        if step is Next.AGAIN:
            self._gate.failed(leave, signals, overloaded=isinstance(error, ServerError))
            self._again(row, error, signals.retry_after)
            return True
        self._gate.answered(leave, signals, Tokens())
        if step is Next.STOP:
            raise error
        self._deliver(row.index, error)
        return True

    def _again(self, row: Row, error: FireworksError, retry_after: float | None = None) -> None:
        """Have a row tried again, or give it up if its budget is spent."""
        row.failures += 1
        chance = random.random()  # noqa: S311 - spreads waits, hides nothing
        delay = self._budget.delay(row.failures, retry_after, chance)
        if delay is None:
            error.args = (f"{error} Tried {row.failures} times.", *error.args[1:])
            self._deliver(row.index, error)
        else:
            self._retries += 1
            self._backlog.again(row, delay)

    def _check_patience(self, row: Row, error: FireworksError) -> None:
        """End the run if a row's retries, and the patience, are spent on nothing but refusals."""
        since = self._gate.pacer.refused_since
        row.refusals = row.refusals + 1 if since == row.refused_since else 1
        row.refused_since = since
        if since is None or row.refusals <= self._settings.max_retries:
            return
        starved = self._line.loop.time() - since
        if starved >= self._settings.patience:
            error.args = (
                f"{error} Nothing but refusals for {starved:.0f} seconds: giving up.",
                *error.args[1:],
            )
            raise error

    def _deliver(self, index: int, outcome: Completion | FireworksError) -> None:
        if isinstance(outcome, FireworksError):
            self._failed += 1
        else:
            self._done += 1
        self._on_outcome(index, outcome)


class _Reports:
    """Reports progress while a run lasts, and once more at its end."""

    def __init__(self, run: Run, total: int | None, on_progress: OnProgress | None) -> None:
        self._run = run
        self._total = total
        self._on_progress = on_progress
        self._meter = ProgressMeter()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        if self._on_progress is not None:
            self._report(self._on_progress)

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._on_progress is not None:
            self._on_progress(self._progress())

    def _report(self, on_progress: OnProgress) -> None:
        on_progress(self._progress())
        self._timer = asyncio.get_running_loop().call_later(
            PROGRESS_EVERY, self._report, on_progress
        )

    def _progress(self) -> Progress:
        now = asyncio.get_running_loop().time()
        finished = self._run.progress(self._total, 0.0).finished
        return self._run.progress(self._total, self._meter.per_second(now, finished))
