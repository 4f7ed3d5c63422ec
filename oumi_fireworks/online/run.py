"""One run of a pump: its workers, and what becomes of each row."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from oumi_fireworks.api.connections import TRANSPORT_FAILURES, cause_of, failure_of
from oumi_fireworks.api.request_json import encode_request
from oumi_fireworks.errors import (
    ConfigurationError,
    FireworksError,
    InvalidRequestError,
    MalformedAnswerError,
    OverBudgetError,
    ServerError,
    UnreachableError,
)
from oumi_fireworks.grammar import ended, number
from oumi_fireworks.money import Usage, UsageSum, most_usage
from oumi_fireworks.online.backlog import Backlog, PendingRow
from oumi_fireworks.online.completions import Completion, completion_in
from oumi_fireworks.online.pacer import Permit
from oumi_fireworks.online.progress import OnlineProgress, ProgressMeter, Waiting
from oumi_fireworks.online.purse import Purse
from oumi_fireworks.online.rate_headers import SILENCE, RateHeaders
from oumi_fireworks.online.retries import Next, RetryBudget, after_failure, may_be_billed
from oumi_fireworks.online.settings import PumpSettings
from oumi_fireworks.online.shared_state import SharedState
from oumi_fireworks.online.stream_rule import is_about_streaming, longest_answer, streamed_body
from oumi_fireworks.online.streamed_completion import StreamedCompletion
from oumi_fireworks.online.tokens import NO_TOKENS, tokens_at_most, tokens_used

__all__ = ["OnOutcome", "OnProgress", "PumpReport", "Run"]

OnOutcome = Callable[[int, Completion | FireworksError], Mapping[str, Any] | None]
OnProgress = Callable[[OnlineProgress], None]

OVERLOADED = 503
"""The status with which Fireworks sheds load."""

_STREAM_FIELDS = frozenset({"stream", "stream_options"})

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
        used: Tokens of the answers.
    """

    done: int
    failed: int
    refusals: int
    retries: int
    seconds: float
    used: Usage


class Run:
    """One call of :meth:`~oumi_fireworks.online.pump.Pump.run`.

    Args:
        shared: What runs of one pump share.
        settings: How the pump works.
        requests: The caller's number and the body of each request.
        on_outcome: Takes the outcomes as they come.
        purse: What all requests may cost; None sets no bound.
    """

    def __init__(
        self,
        shared: SharedState,
        settings: PumpSettings,
        requests: Iterable[tuple[int, Mapping[str, Any]]],
        on_outcome: OnOutcome,
        purse: Purse | None,
    ) -> None:
        self._purse = purse
        self._shared = shared
        self._gate = shared.gate
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
        self._has_answered = False
        self._done = self._failed = self._refusals = self._retries = 0
        self._used = UsageSum()

    async def finish(self, total: int | None, on_progress: OnProgress | None) -> PumpReport:
        """Work until every row has an outcome.

        Args:
            total: How many rows there are, for progress.
            on_progress: Called about twice a second, and at the end.
        """
        began = self._shared.loop.time()
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
            seconds=self._shared.loop.time() - began,
            used=self._used.total,
        )

    def progress(self, total: int | None, per_second: float) -> OnlineProgress:
        """Return how far it is."""
        standstill = self._gate.pacer.standstill
        waiting = None
        if standstill.cause is not None:
            seconds = self._shared.loop.time() - standstill.since
            waiting = Waiting(standstill.cause.words, seconds)
        return OnlineProgress(
            total=total,
            done=self._done,
            failed=self._failed,
            refusals=self._refusals,
            under_way=self._gate.pacer.under_way,
            per_second=per_second,
            waiting=waiting,
            used=self._used.total,
        )

    def _rows(self, requests: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[PendingRow]:
        """Encode the requests, one when it is needed."""
        for index, body in requests:
            row = self._pending(index, body)
            if row is not None:
                yield row

    def _pending(self, index: int, body: Mapping[str, Any]) -> PendingRow | None:
        """Encode a request; None where it cannot be, which is its outcome then."""
        longest = longest_answer(body)
        if "stream" in body or "stream_options" in body:
            body = {key: body[key] for key in body if key not in _STREAM_FIELDS}
        try:
            encoded = encode_request(body)
        except (TypeError, ValueError) as error:
            self._deliver(index, InvalidRequestError(f"Request {index} is not JSON: {error}"))
            return None
        count_tokens = self._gate.pacer.ceilings.count_tokens
        most = tokens_at_most(body) if count_tokens else NO_TOKENS
        cost = None if self._purse is None else most_usage(body, len(encoded))
        return PendingRow(index, next(self._shared.orders), encoded, most, longest, cost)

    def _hire(self) -> None:
        """Have one more worker, if there is work and room for it."""
        if self._workers < self._gate.pacer.window.size and not self._backlog.exhausted:
            self._workers += 1
            self._group.create_task(self._work())

    async def _work(self) -> None:
        rest = 0.0
        send = self._exchange if self._purse is None else self._send_within
        try:
            while (row := await self._backlog.next()) is not None:
                self._hire()
                if rest:
                    await asyncio.sleep(rest)
                while not await send(row):
                    pass
                rest = self._settings.politeness
        except BaseException:
            # The others are cancelled at the loop's next turn only. Until then they may hand over
            # what has arrived, but not send anything more, which would be paid for nothing.
            self._ended = True
            raise

    async def _send_within(self, row: PendingRow) -> bool:
        """Send a row once, if the purse has its worst. Returns False as `_exchange` does."""
        number = None
        if self._purse is not None and row.cost is not None:
            number = await self._purse.take(row.cost)
            if number is None:
                self._deliver(row.index, _over_budget(self._purse, row.cost))
                return True
        return await self._exchange(row, number)

    async def _exchange(self, row: PendingRow, number: int | None = None) -> bool:
        """Send a row once. Returns False if it was refused and is to be sent again.

        Args:
            row: The row.
            number: Under which its worst is set aside in the purse; None without a purse.
        """
        try:
            permit = await self._gate.enter(row.order, len(row.body), row.most)
            if self._ended:
                self._gate.withdrawn(permit)
                raise asyncio.CancelledError
        except BaseException:
            self._pay(number, Usage())
            raise
        stream = None
        try:
            if self._shared.stream_rule.applies_to(row.longest):
                stream = StreamedCompletion()
                response = await self._shared.session.post(
                    streamed_body(row.body),
                    stream,
                    lambda head: self._gate.began(permit, RateHeaders.read(head)),
                )
            else:
                response = await self._shared.session.post(row.body)
        except TRANSPORT_FAILURES as error:
            # A server that is gone is not one that has too much to do.
            self._gate.failed(permit, SILENCE, overloaded=isinstance(error, TimeoutError))
            failure = failure_of(self._where, error, has_answered=self._has_answered)
            self._pay_failed(number, failure)
            # Neither a certificate that nobody knows nor a wrong URL gets better by waiting.
            is_no_server = isinstance(failure, UnreachableError) and row.failures > 0
            if isinstance(failure, ConfigurationError) or is_no_server:
                raise failure from cause_of(error)
            self._again(row, failure)
            return True
        except MalformedAnswerError as error:
            self._gate.failed(permit, SILENCE, overloaded=False)
            self._pay_failed(number, error)
            self._again(row, error)
            return True
        except BaseException:
            self._gate.withdrawn(permit)
            raise
        self._has_answered = True
        headers = RateHeaders.read(response.headers)
        try:
            completion = completion_in(response, stream, where=self._where, secret=self._secret)
        except FireworksError as error:
            self._pay_failed(number, error)
            return self._handle(error, row, permit, headers, streamed=stream is not None)
        used = Usage.parse(completion.get("usage"))
        self._gate.answered(permit, headers, tokens_used(used))
        if used is not None:
            self._used.add(used)
        self._pay(number, used)
        self._deliver(row.index, completion)
        return True

    def _pay(self, number: int | None, used: Usage | None) -> None:
        """Settle what was set aside for a request; None where nobody knows what it took."""
        if self._purse is None or number is None:
            return
        if used is None:
            self._purse.write_off(number)
        else:
            self._purse.settle(number, used)

    def _pay_failed(self, number: int | None, failure: FireworksError) -> None:
        self._pay(number, None if may_be_billed(failure) else Usage())

    def _handle(
        self,
        error: FireworksError,
        row: PendingRow,
        permit: Permit,
        headers: RateHeaders,
        *,
        streamed: bool,
    ) -> bool:
        """Do what an error asks for. Returns False if the row is to be sent again."""
        match after_failure(error):
            case Next.WHEN_LET_IN:
                self._refusals += 1
                self._gate.refused(permit, headers)
                self._check_patience(error)
                return False
            case Next.WHEN_STARTED:
                self._shared.say_starting(error)
                self._gate.starting(permit)
                self._check_patience(error)
                return False
            case Next.AGAIN:
                if isinstance(error, ServerError) and error.status == OVERLOADED:
                    self._shared.say_overloaded(error)
                self._gate.failed(permit, headers, overloaded=isinstance(error, ServerError))
                self._again(row, error, headers.retry_after)
            case Next.STOP:
                self._gate.answered(permit, headers, NO_TOKENS)
                raise error
            case Next.GIVE_UP:
                self._gate.answered(permit, headers, NO_TOKENS)
                if not streamed and self._shared.stream_rule.learn(row.longest, str(error)):
                    return False
                if (
                    not streamed
                    and self._settings.stream == "never"
                    and is_about_streaming(str(error))
                ):
                    error.args = (f"{ended(error)} The option stream forbids it.", *error.args[1:])
                self._deliver(row.index, error)
        return True

    def _again(
        self, row: PendingRow, error: FireworksError, retry_after: float | None = None
    ) -> None:
        """Have a row tried again, or give it up if its budget is spent."""
        row.failures += 1
        chance = random.random()  # noqa: S311 - spreads waits, hides nothing
        delay = self._budget.delay(row.failures, retry_after, chance)
        if delay is None:
            error.args = (f"{ended(error)} Tried {number(row.failures, 'time')}.", *error.args[1:])
            self._deliver(row.index, error)
        else:
            self._retries += 1
            self._backlog.again(row, delay)

    def _check_patience(self, error: FireworksError) -> None:
        """End the run if nothing has got through for too long."""
        standstill = self._gate.pacer.standstill
        if standstill.cause is None:
            return
        waited = self._shared.loop.time() - standstill.since
        if waited >= self._settings.refusal_timeout:
            error.args = (
                f"{ended(error)} Waited {standstill.cause.words} for "
                f"{number(round(waited), 'second')}: giving up. The option refusal_timeout sets "
                "how long.",
                *error.args[1:],
            )
            raise error

    def _deliver(self, index: int, outcome: Completion | FireworksError) -> None:
        """Hand an outcome over; the caller may have another request for the row."""
        further = self._on_outcome(index, outcome)
        if further is not None:
            row = self._pending(index, further)
            if row is not None:
                self._backlog.again(row, 0.0)
        elif isinstance(outcome, FireworksError):
            self._failed += 1
        else:
            self._done += 1


def _over_budget(purse: Purse, most: Usage) -> OverBudgetError:
    cost, left = purse.budget.at_most(most), purse.budget.most - purse.spent
    return OverBudgetError(
        f"not sent: it may cost ${cost:.6f}, and ${max(left, Decimal()):.6f} is left of max_cost, "
        f"${purse.budget.most:f}. The same call with a higher max_cost goes on."
    )


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

    def _progress(self) -> OnlineProgress:
        now = asyncio.get_running_loop().time()
        finished = self._run.progress(self._total, 0.0).finished
        return self._run.progress(self._total, self._meter.per_second(now, finished))
