"""What became of rows: of one, of a batch, of all that were run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from oumi.core.inference.base_inference_engine import BatchResult, FailureDetail
from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch import BatchResults, FailureSummary
from oumi_fireworks.engine.failures import OverBudgetRow, RejectedAnswer, is_refused
from oumi_fireworks.errors import (
    AnswerRejectedError,
    FireworksError,
    IncompleteBatchError,
    InvalidRequestError,
    MalformedAnswerError,
    OverBudgetError,
)
from oumi_fireworks.grammar import clause, ended, form, number

RowOutcome = Conversation | FailureDetail
"""What became of a row."""

_KINDS_SHOWN = 5
"""Kinds of failure that an error lists."""

_ROWS_SHOWN = 3
"""Rows of each kind that it names."""


@dataclass(frozen=True)
class PartialBatch:
    """What there is of a batch.

    Attributes:
        results: The batch.
        result: The answered rows, and the others with their messages, as Oumi knows them.
        details: Why each other row has no answer.
        failures: The same by kind.
    """

    results: BatchResults
    result: BatchResult
    details: Mapping[int, FailureDetail]
    failures: FailureSummary

    def outcomes(self) -> list[RowOutcome]:
        """Align it with the input."""
        answered = dict(self.result.successful)
        rows = len(answered) + len(self.details)
        return [
            answered[index] if index in answered else self.details[index] for index in range(rows)
        ]


@dataclass(frozen=True)
class RunOutcome:
    """What became of rows that were run.

    Attributes:
        outcomes: One for each row.
        ended_by: What ended the run early. Rows that it did not come to carry it, too.
        batch: The batch, if it was one.
    """

    outcomes: Sequence[RowOutcome]
    ended_by: FireworksError | None = None
    batch: PartialBatch | None = None

    @property
    def answered(self) -> int:
        """How many rows have an answer."""
        return self._count(Conversation)

    @property
    def rejected(self) -> int:
        """How many rows have answers that do not hold."""
        return self._count(RejectedAnswer)

    @property
    def over_budget(self) -> int:
        """How many rows were never sent, since the budget did not allow it."""
        return self._count(OverBudgetRow)

    def _count(self, kind: type[Conversation | FailureDetail]) -> int:
        return sum(isinstance(outcome, kind) for outcome in self.outcomes)


@dataclass(frozen=True)
class FailedRow:
    """A row without an answer.

    Attributes:
        index: Its place in the input, zero-based.
        conversation_id: Its conversation's id.
        failure: Why.
    """

    index: int
    conversation_id: str | None
    failure: FailureDetail

    def __str__(self) -> str:
        name = f" ({self.conversation_id})" if self.conversation_id else ""
        failure = self.failure
        # The message of a rejected row has its whole answer.
        said = failure.reason if isinstance(failure, RejectedAnswer) else failure.error_message
        return f"row {self.index}{name}: {said}"


def run_others(
    conversations: Sequence[Conversation],
    known: Mapping[int, RowOutcome],
    run: Callable[[Sequence[Conversation]], RunOutcome],
) -> RunOutcome:
    """Run all conversations but those whose outcome is known already.

    Args:
        conversations: All of them.
        known: What became of some, by their place.
        run: Runs conversations.

    Returns:
        The outcome of all.
    """
    if not known:
        return run(conversations)
    others = [each for index, each in enumerate(conversations) if index not in known]
    result = run(others) if others else RunOutcome([])
    outcomes = iter(result.outcomes)
    return replace(
        result,
        outcomes=[
            known[index] if index in known else next(outcomes)
            for index in range(len(conversations))
        ],
    )


def failed_rows(
    conversations: Sequence[Conversation],
    outcomes: Sequence[RowOutcome],
    places: Mapping[str | None, int],
) -> list[FailedRow]:
    """Return the rows without an answer.

    Args:
        conversations: What was run.
        outcomes: One for each of them.
        places: Where each is in the whole input, by its id; default: where it is here.
    """
    return [
        FailedRow(places.get(row.conversation_id, index), row.conversation_id, outcome)
        for index, (row, outcome) in enumerate(zip(conversations, outcomes, strict=True))
        if isinstance(outcome, FailureDetail)
    ]


def describe_failures(failed: Sequence[FailedRow], rows: int) -> str:
    """Say which rows have no answer, and why, in a few lines at the most.

    Args:
        failed: The rows.
        rows: How many rows there are.
    """
    shown = "; ".join(clause(row) for row in failed[:_ROWS_SHOWN])
    more = f"; and {len(failed) - _ROWS_SHOWN:,} more" if len(failed) > _ROWS_SHOWN else ""
    return f"{_without_answer(len(failed), rows)}: {ended(f'{shown}{more}')}"


def _without_answer(failed: int, rows: int) -> str:
    return f"{failed:,} of {number(rows, 'row')} {form(failed, 'has', 'have')} no answer"


def incomplete(
    partial: PartialBatch, advice: str, description: str | None = None
) -> IncompleteBatchError:
    """Build the error for a batch that has ended with rows unanswered.

    Args:
        partial: What there is of it; the error carries it.
        advice: What to do next.
        description: Which rows have no answer. Default: how many, by kind of failure.
    """
    results = partial.results
    last = results.snapshots[-1]
    reason = f" {ended(last.error)}" if last.error else ""
    if description is None:
        kinds = "; ".join(partial.failures.lines()[:_KINDS_SHOWN])
        rows = _without_answer(len(partial.details), len(results.index))
        description = f"{rows}: {ended(kinds)}"
    return IncompleteBatchError(
        f"Batch {results.batch_id} ended as {last.state}, and {description}{reason} {advice}",
        partial=partial.result,
        counts=results.index.counts.rows,
        messages=partial.failures.messages(),
    )


def failed_rows_error(
    failed: Sequence[FailedRow], rows: int, run: RunOutcome, *, has_output: bool
) -> FireworksError:
    """Build the error for an ``infer`` that wanted all rows, and some have failed.

    Args:
        failed: The rows without an answer.
        rows: How many were run.
        run: What became of them.
        has_output: Whether Oumi keeps the answers beside an output.
    """
    description = describe_failures(failed, rows)
    advice = _advice(failed, are_kept=has_output or run.batch is not None)
    if run.batch is not None:
        return incomplete(run.batch, advice, description)
    first = failed[0].failure
    message = f"{description} {advice}"
    if any(isinstance(row.failure, OverBudgetRow) for row in failed):
        return OverBudgetError(message, partial=_partial(run.outcomes))
    if isinstance(first, RejectedAnswer):
        return AnswerRejectedError(message)
    if first.status_code is None:
        return MalformedAnswerError(message)
    return InvalidRequestError(message, status=first.status_code)


def _partial(outcomes: Sequence[RowOutcome]) -> BatchResult:
    """Return what there is of some rows, as Oumi knows it of a batch."""
    rows = list(enumerate(outcomes))
    messages = {index: row.error_message for index, row in rows if isinstance(row, FailureDetail)}
    answered = [(index, row) for index, row in rows if isinstance(row, Conversation)]
    return BatchResult(answered, list(messages), messages)


def _advice(failed: Sequence[FailedRow], *, are_kept: bool) -> str:
    keep = "Set the fireworks option on_failed_rows to 'keep' to have the others without them"
    if not are_kept:
        return f"{keep}."
    refused = sum(is_refused(row.failure) for row in failed)
    if refused == len(failed):
        again = "refused ones are not sent again"
    elif refused:
        again = "the same call runs these again, but for those that were refused"
    else:
        return "The answered rows are kept; the same call runs the others again."
    return f"The answered rows are kept, and {again}. {keep}, or resend_refused to send them again."
