"""Conversations out of a batch's results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from oumi.core.inference.base_inference_engine import BatchResult, FailureDetail
from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch import Answer, BatchResults, FailureSummary, Outcome, log_outcome
from oumi_fireworks.conversion import to_conversation
from oumi_fireworks.engine.failures import of_batch_row
from oumi_fireworks.engine.outcomes import PartialBatch
from oumi_fireworks.errors import ConversionError


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
        """Read an outcome, which may come again; return why an answer cannot be read, or None."""
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

    def partial(self, results: BatchResults) -> PartialBatch:
        """Return what there is, and why each other row has no answer. The outcome is logged."""
        details: dict[int, FailureDetail] = {}
        failures = FailureSummary()
        for outcome in results.index.outcomes(results.index.unanswered()):
            if not isinstance(outcome, Answer):
                message = results.message(outcome)
                details[outcome.index] = of_batch_row(outcome, message)
                failures.add(outcome, message)
        log_outcome(results.batch_id, results.index.counts, failures)
        successful = [
            (index, answered)
            for index, answered in enumerate(self._answered)
            if answered is not None
        ]
        messages = {index: detail.error_message for index, detail in details.items()}
        result = BatchResult(successful, list(messages), messages)
        return PartialBatch(results, result, details, failures)
