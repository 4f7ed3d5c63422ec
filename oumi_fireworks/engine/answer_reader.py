"""Conversations out of a batch's results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from oumi.core.inference.base_inference_engine import BatchResult, FailureDetail
from oumi.core.types.conversation import Conversation

from oumi_fireworks.accept.answer_rules import AnswerRules
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.batch import Answer, BatchResults, FailureSummary, Outcome, log_outcome
from oumi_fireworks.conversion import to_conversation
from oumi_fireworks.engine.answer_check import rejection_of
from oumi_fireworks.engine.failures import RejectedAnswer, of_batch_row
from oumi_fireworks.engine.outcomes import PartialBatch
from oumi_fireworks.errors import ConversionError


class AnswerReader:
    """Reads a batch's outcomes as Oumi conversations, in whatever order they come.

    An answer that is not a chat completion (a broken tool call, say) makes its row a failed one.

    Args:
        conversations: What was submitted.
        rules: What the answers have to be; None takes every one that can be read.
    """

    def __init__(
        self, conversations: Sequence[Conversation], rules: AnswerRules | None = None
    ) -> None:
        self._asked = conversations
        self._rules = rules
        self._answered: list[Conversation | None] = [None] * len(conversations)
        self._open = len(conversations)

    def take(self, outcome: Outcome) -> str | Rejection | None:
        """Read an outcome, which may come again; return why an answer is not taken, or None."""
        if not isinstance(outcome, Answer):
            return None
        index = outcome.index
        try:
            answered = to_conversation(outcome.completion, self._asked[index])
        except ConversionError as error:
            return str(error)
        if self._rules is not None:
            rejection = rejection_of(outcome.completion, self._rules, answered)
            if rejection is not None:
                return rejection
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
        self._keep_rejected(details)
        log_outcome(results.batch_id, results.index.counts, failures)
        successful = [
            (index, answered)
            for index, answered in enumerate(self._answered)
            if answered is not None
        ]
        messages = {index: detail.error_message for index, detail in details.items()}
        result = BatchResult(successful, list(messages), messages)
        return PartialBatch(results, result, details, failures)

    def _keep_rejected(self, details: dict[int, FailureDetail]) -> None:
        """Put rejected answers among the others, if the rules say so."""
        if self._rules is None or not self._rules.keeps_rejected:
            return
        for index, detail in list(details.items()):
            if isinstance(detail, RejectedAnswer):
                self._answered[index] = detail.kept(self._asked[index])
                del details[index]
