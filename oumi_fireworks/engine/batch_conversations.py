"""Batches of Oumi conversations: rows out of conversations, conversations out of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from oumi.core.inference.base_inference_engine import BatchResult
from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch import Answer, BatchResults, FailureSummary, Outcome, log_outcome
from oumi_fireworks.conversion import RequestTemplate, check_conversation, to_conversation
from oumi_fireworks.errors import ConversionError, IncompleteBatchError, RowError

_ANY_CONVERSATION = Conversation(messages=[])
_MESSAGES_SHOWN = 5


def request_rows(
    conversations: Iterable[Conversation], template: RequestTemplate
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each conversation's index and request body.

    Raises:
        RowError: If a conversation cannot be sent; the message names it.
    """
    for index, conversation in enumerate(conversations):
        try:
            check_conversation(conversation, index)
            body = template.body(conversation)
        except ValueError as error:
            raise RowError(str(error), index) from error
        yield index, body


def why_unreadable(outcome: Outcome) -> str | None:
    """Say why an answer cannot be read as a conversation; None where it can."""
    if isinstance(outcome, Answer):
        try:
            to_conversation(outcome.completion, _ANY_CONVERSATION)
        except ConversionError as error:
            return str(error)
    return None


class AnswerReader:
    """Reads a batch's outcomes as Oumi conversations, in whatever order they come.

    An answer that is not a chat completion (a broken tool call, say) makes its row a failed one.

    Args:
        conversations: What was submitted.
    """

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        self._asked = conversations
        self._answered: list[Conversation | None] = [None] * len(conversations)
        self._open = len(conversations)

    def take(self, outcome: Outcome) -> str | None:
        """Read one, maybe not for the first time. Returns why an answer cannot be read, or None."""
        if not isinstance(outcome, Answer):
            return None
        index = outcome.index
        try:
            answered = to_conversation(outcome.completion, self._asked[index])
        except ConversionError as error:
            return str(error)
        self._open -= self._answered[index] is None
        self._answered[index] = answered
        return None

    def everything(self, results: BatchResults) -> list[Conversation] | None:
        """Return the answered conversations, in the order of the input; None if any is missing.

        Unlike :meth:`partial`, this needs no further memory. The outcome is logged.
        """
        if self._open:
            return None
        log_outcome(results.batch_id, results.index.counts, FailureSummary())
        return cast(list[Conversation], self._answered)

    def partial(self, results: BatchResults) -> tuple[BatchResult, FailureSummary]:
        """Return the result as Oumi knows it, and the failures by kind. The outcome is logged."""
        errors: dict[int, str] = {}
        failures = FailureSummary()
        for outcome in results.index.outcomes(results.index.unanswered()):
            if not isinstance(outcome, Answer):
                errors[outcome.index] = message = results.message(outcome)
                failures.add(outcome, message)
        log_outcome(results.batch_id, results.index.counts, failures)
        successful = [
            (index, answered)
            for index, answered in enumerate(self._answered)
            if answered is not None
        ]
        return BatchResult(successful, list(errors), errors), failures


def incomplete(
    results: BatchResults, partial: BatchResult, failures: FailureSummary, advice: str
) -> IncompleteBatchError:
    """Build the error for a batch that has ended with rows unanswered.

    Args:
        results: The batch.
        partial: What there is of it; the error carries it.
        failures: Why the rest is missing.
        advice: What to do next.
    """
    last = results.snapshots[-1]
    rows = len(results.index)
    reason = f" {last.error.rstrip('.')}." if last.error else ""
    kinds = "; ".join(failures.lines()[:_MESSAGES_SHOWN])
    return IncompleteBatchError(
        f"Batch {results.batch_id} ended as {last.state}, and {len(partial.failed_indices):,} of "
        f"{rows:,} rows have no answer.{reason} {kinds}. {advice}",
        partial=partial,
        counts=results.index.counts.rows,
        messages=failures.messages(),
    )
