"""Conversations out of a batch's results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from oumi.core.inference.base_inference_engine import BatchResult
from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch import Answer, BatchResults, FailureSummary, Outcome, log_outcome
from oumi_fireworks.conversion import to_conversation
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
