"""A batch's results, brought where they belong: answers in input order, failures beside them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from oumi.core.types.conversation import Conversation

from oumi_fireworks.api import Phase
from oumi_fireworks.batch import Answer, BatchResults, FailureSummary, FileMark, Missing, Outcome
from oumi_fireworks.batch.failures import MISSING_KIND, kind_of
from oumi_fireworks.batch.outcomes import Failure
from oumi_fireworks.cli.batch.writing import delivered, errors_path
from oumi_fireworks.errors import BatchError, Problem
from oumi_fireworks.report import ReportBuilder, Row
from oumi_fireworks.tables.conversations import ConversationReader, SentLine
from oumi_fireworks.user_json import dumps

BAD_LINE_KIND = "bad line"

_ROWS_PER_TURN = 256
"""Rows after which the event loop has a turn."""


@dataclass
class Delivery:
    """What has become of the rows.

    Attributes:
        answered: Rows with an answer.
        failed: Rows without one.
        bad_lines: Lines of the input that were left out.
        failures: The failed rows by kind.
    """

    answered: int = 0
    failed: int = 0
    bad_lines: int = 0
    failures: FailureSummary = field(default_factory=FailureSummary)


def require_answers(results: BatchResults) -> None:
    """Refuse to deliver a batch that failed, expired or was stopped before any answer.

    Raises:
        BatchError: With the service's message. Nothing is written.
    """
    last = results.snapshots[-1]
    if results.index.counts.answered or (
        last.phase is Phase.COMPLETED and results.shortfall is None
    ):
        return
    reasons = "; ".join(filter(None, [(last.error or "").rstrip("."), results.shortfall]))
    raise BatchError(
        f"Batch {last.batch_id} ended as {last.state} without an answer"
        f"{f': {reasons}' if reasons else ''}. Nothing was written."
    )


async def deliver(
    reader: ConversationReader,
    results: BatchResults,
    output: Path | None,
    report: ReportBuilder | None = None,
    before_replacing: Callable[[FileMark], None] | None = None,
) -> Delivery:
    """Write the answered conversations and the failures.

    The files appear when they are complete, the failures first. A line of failures is
    ``{"index", "conversation_id", "error": {"kind", "message", "code"}}``; the index is that of
    the row, zero-based, and null for a line of the input that was left out, which has ``file``
    and ``line`` instead.

    Args:
        reader: The input, which knows what was sent of it.
        results: What the batch has brought. Which answers can be read was decided when they were
            indexed (:func:`~oumi_fireworks.engine.conversations.why_unreadable`).
        output: Where the conversations go; None is stdout, and the failures are only counted.
        report: Takes each row, too.
        before_replacing: Told about the output when it is complete, before it is in its place.

    Raises:
        InputChangedError: If the input is not what was submitted. Nothing is written.
    """
    with ExitStack() as stack:
        answers: BinaryIO = sys.stdout.buffer
        errors: BinaryIO | None = None
        if output is not None:
            answers = stack.enter_context(delivered(output, before_replacing=before_replacing))
            errors = stack.enter_context(delivered(errors_path(output), unless_empty=True))
        writer = _Writer(results, answers, errors, report)
        outcomes = results.index.outcomes()
        for position, item in enumerate(reader.sent_lines()):
            if isinstance(item, Problem):
                writer.leave_out(item)
            else:
                writer.write(item, next(outcomes))
            if not position % _ROWS_PER_TURN:
                await asyncio.sleep(0)  # a cancellation (Ctrl-C) gets in here
        answers.flush()
    return writer.delivery


class _Writer:
    """Takes row by row, in the order of the input."""

    def __init__(
        self,
        results: BatchResults,
        answers: BinaryIO,
        errors: BinaryIO | None,
        report: ReportBuilder | None,
    ) -> None:
        self.delivery = Delivery()
        self._results = results
        self._answers = answers
        self._errors = errors
        self._report = report

    def write(self, sent: SentLine, outcome: Outcome) -> None:
        """Write an answer, with the fields of its line that Oumi dropped, or why there is none."""
        if not isinstance(outcome, Answer):
            self._fail(sent.conversation(), outcome)
            return
        answered = sent.answered(outcome.completion)
        self.delivery.answered += 1
        self._answers.write(dumps(answered) + b"\n")
        if self._report is not None:
            self._report.add(Row.from_oumi(outcome.index, answered))

    def leave_out(self, problem: Problem) -> None:
        """Write down a line of the input that was not sent."""
        self.delivery.bad_lines += 1
        place = {"file": problem.place.file, "line": problem.place.line}
        error = {"kind": BAD_LINE_KIND, "message": problem.message, "code": None}
        line = {"index": None, "conversation_id": problem.conversation_id, "error": error}
        self._note(line | place)

    def _fail(self, conversation: Conversation, outcome: Failure | Missing) -> None:
        message = self._results.message(outcome)
        self.delivery.failed += 1
        self.delivery.failures.add(outcome, message)
        error = {"kind": MISSING_KIND, "message": message, "code": None}
        if not isinstance(outcome, Missing):
            error = {"kind": kind_of(outcome), "message": message, "code": outcome.code}
        index, name = outcome.index, conversation.conversation_id
        self._note({"index": index, "conversation_id": name, "error": error})
        if self._report is not None:
            prompt = conversation.to_dict()["messages"]
            self._report.add(Row.from_failure(index, error, conversation_id=name, prompt=prompt))

    def _note(self, line: dict[str, Any]) -> None:
        if self._errors is not None:
            self._errors.write(dumps(line) + b"\n")
