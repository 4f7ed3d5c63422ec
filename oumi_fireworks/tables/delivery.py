"""A batch's results, brought where they belong: rows in input order, failures beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from oumi_fireworks.api import Phase
from oumi_fireworks.batch import Answer, BatchResults, FailureSummary, Missing, Outcome
from oumi_fireworks.batch.failures import kind_of, missing_kind
from oumi_fireworks.batch.outcomes import Failure, OverBudget, Rejected
from oumi_fireworks.batch.results import ResultIndex
from oumi_fireworks.completions import kept_answer
from oumi_fireworks.errors import BatchError
from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.tables.conversations import ConversationReader, LeftOutRow, SentRow
from oumi_fireworks.tables.output import BeforeReplacing
from oumi_fireworks.tables.sink import FinishedRow, RowWriter, Sink
from oumi_fireworks.user_json import dumps

_BAD_LINE_KIND = "bad line"

_ROWS_PER_TURN = 256
"""Rows after which the event loop has a turn."""


@dataclass
class Delivery:
    """What has become of the rows.

    Attributes:
        answered: Rows with an answer.
        rejected: Rows whose answers do not hold, and are apart.
        kept: Rows whose answers do not hold, and are among the others, marked.
        failed: Rows without one.
        over_budget: Rows that were never sent, since the budget did not allow it.
        bad_lines: Rows of the input that were left out.
        failures: The rejected and the failed rows by kind.
    """

    answered: int = 0
    rejected: int = 0
    kept: int = 0
    failed: int = 0
    over_budget: int = 0
    bad_lines: int = 0
    failures: FailureSummary = field(default_factory=FailureSummary)

    @property
    def rows(self) -> int:
        """Rows that could be sent."""
        return self.answered + self.kept + self.open

    @property
    def open(self) -> int:
        """Rows that are not in the output."""
        return self.rejected + self.failed + self.over_budget


class RowResults(Protocol):
    """What became of every row."""

    @property
    def index(self) -> ResultIndex:
        """The outcomes."""

    def message(self, outcome: Failure | Missing) -> str:
        """Say why a row has no answer."""


class RowObserver(Protocol):
    """Is shown the rows of a batch as they are delivered."""

    def see(self, finished: FinishedRow) -> None:
        """Look at a row; those that were left out are not shown."""


def require_answers(results: BatchResults) -> None:
    """Refuse to deliver a batch that failed, expired or was stopped before any answer.

    Raises:
        BatchError: With the service's message. Nothing is written.
    """
    last = results.snapshots[-1]
    counts = results.index.counts
    if (
        counts.answered
        or counts.rejected
        or (last.phase is Phase.COMPLETED and results.shortfall is None)
    ):
        return
    reasons = "; ".join(filter(None, [(last.error or "").rstrip("."), results.shortfall]))
    raise BatchError(
        f"Batch {last.batch_id} ended as {last.state} without an answer"
        f"{f': {reasons}' if reasons else ''}. Nothing was written."
    )


async def deliver(
    reader: ConversationReader,
    results: RowResults,
    sink: Sink,
    observers: Sequence[RowObserver] = (),
    before_replacing: BeforeReplacing | None = None,
    *,
    keep_rejected: bool = False,
    asked: str = "",
    metadata_prices: AnswerPrices | None = None,
) -> Delivery:
    """Write the rows and, apart, the failures.

    The files appear when they are complete, the failures first. A line of failures is
    ``{"index", "conversation_id", "error": {"kind", "message", "code"}}``; the index is that of
    the row, zero-based, and null for a row of the input that was left out, which has ``file``
    and ``line`` (of a table ``row``) instead. That of a rejected row has ``rejected``, how often it
    was, and of the answer that came nearest ``answer``, ``finish_reason`` and ``usage``.

    Args:
        reader: The input, which knows what was sent of it.
        results: What the batch has brought. Which answers can be read was decided when they were
            indexed (:func:`~oumi_fireworks.engine.conversations.why_unreadable`).
        sink: Where the rows go.
        observers: See each row, too.
        before_replacing: Told about the output when it is complete, before it is in its place.
        keep_rejected: Whether rejected answers go among the others, marked in their metadata.
        asked: Names what the rows were asked for with; written down with the rejected ones, which
            are not asked for with the same again.
        metadata_prices: What answers cost, where their conversations' metadata are to say that.

    Raises:
        InputChangedError: If the input is not what was submitted. Nothing is written.
        WriteError: If the output cannot be written.
    """
    with ExitStack() as stack:
        rows = stack.enter_context(sink.open(before_replacing))
        errors: BinaryIO | None = None
        if sink.output.errors is not None:
            errors = stack.enter_context(sink.output.errors.writing(unless_empty=True))
        deliverer = _Deliverer(
            results,
            rows,
            errors,
            observers,
            keep_rejected=keep_rejected,
            asked=asked,
            metadata_prices=metadata_prices,
        )
        outcomes = results.index.outcomes()
        for position, item in enumerate(reader.sent_rows()):
            if isinstance(item, LeftOutRow):
                deliverer.leave_out(item)
            else:
                deliverer.deliver(item, next(outcomes))
            if not position % _ROWS_PER_TURN:
                await asyncio.sleep(0)  # a cancellation (Ctrl-C) gets in here
    return deliverer.delivery


def not_sent(left_out: LeftOutRow) -> FinishedRow:
    """Return a row of the input that was not sent, as it is delivered."""
    error = {"kind": _BAD_LINE_KIND, "message": left_out.problem.message, "code": None}
    return FinishedRow(left_out.row, "bad row", error=error)


class _Deliverer:
    """Takes row by row, in the order of the input."""

    def __init__(
        self,
        results: RowResults,
        rows: RowWriter,
        errors: BinaryIO | None,
        observers: Sequence[RowObserver],
        *,
        keep_rejected: bool,
        asked: str,
        metadata_prices: AnswerPrices | None,
    ) -> None:
        self._prices = metadata_prices
        self.delivery = Delivery()
        self._asked = asked
        self._keep_rejected = keep_rejected
        self._results = results
        self._rows = rows
        self._errors = errors
        self._observers = observers

    def deliver(self, sent: SentRow, outcome: Outcome) -> None:
        """Write a row with its answer, or why there is none."""
        if isinstance(outcome, Answer):
            self.delivery.answered += 1
            completion = outcome.completion
            finished = FinishedRow(
                sent.row, "answered", sent=sent, completion=completion, prices=self._prices
            )
        elif isinstance(outcome, Rejected):
            finished = self._rejected(sent, outcome)
        else:
            finished = self._failed(sent, outcome)
        self._rows.add(finished)
        for observer in self._observers:
            observer.see(finished)

    def leave_out(self, left_out: LeftOutRow) -> None:
        """Write down a row of the input that was not sent."""
        self.delivery.bad_lines += 1
        problem = left_out.problem
        place = {"file": problem.place.file, problem.place.unit: problem.place.number}
        finished = not_sent(left_out)
        line = {"index": None, "conversation_id": problem.conversation_id, "error": finished.error}
        self._note(line | place)
        self._rows.add(finished)

    def _rejected(self, sent: SentRow, outcome: Rejected) -> FinishedRow:
        self.delivery.failures.add(outcome)
        rejection = outcome.rejection
        error = {"kind": rejection.kind, "message": rejection.message, "code": None}
        completion = outcome.completion
        if self._keep_rejected:
            self.delivery.kept += 1
        else:
            self.delivery.rejected += 1
            line = {
                "index": outcome.index,
                "conversation_id": sent.conversation().conversation_id,
                "error": error,
                "rejected": outcome.times,
                **({"asked": self._asked} if self._asked else {}),
                **kept_answer(completion),
            }
            self._note(line)
        return FinishedRow(
            sent.row,
            "rejected",
            sent=sent,
            completion=completion if self._keep_rejected else None,
            rejected=completion,
            error={**error, "times": outcome.times},
            prices=self._prices,
        )

    def _failed(self, sent: SentRow, outcome: Failure | Missing) -> FinishedRow:
        message = self._results.message(outcome)
        if isinstance(outcome, OverBudget):
            self.delivery.over_budget += 1
        else:
            self.delivery.failed += 1
        self.delivery.failures.add(outcome, message)
        if isinstance(outcome, Missing):
            state = missing_kind(outcome)
            error = {"kind": state, "message": message, "code": None}
        else:
            state = "failed"
            error = {"kind": kind_of(outcome), "message": message, "code": outcome.code}
        name = sent.conversation().conversation_id
        self._note({"index": outcome.index, "conversation_id": name, "error": error})
        return FinishedRow(sent.row, state, sent=sent, error=error)

    def _note(self, line: dict[str, Any]) -> None:
        if self._errors is not None:
            self._errors.write(dumps(line) + b"\n")
