"""Why rows have no answer, in Oumi's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from oumi.core.inference.base_inference_engine import (
    FailureDetail,
    InferenceErrorType,
)
from oumi.core.types.conversation import Conversation

from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.api import is_retryable
from oumi_fireworks.batch import (
    Failure,
    Missing,
    Rejected,
    UnreadableAnswer,
)
from oumi_fireworks.batch.failures import CODES_OF_REFUSALS, REFUSALS
from oumi_fireworks.batch.outcomes import OverBudget
from oumi_fireworks.completions import kept_answer
from oumi_fireworks.conversion import to_conversation
from oumi_fireworks.errors import (
    APIError,
    BatchError,
    ConnectionFailedError,
    FireworksError,
    MalformedAnswerError,
    OverBudgetError,
)


@dataclass(frozen=True)
class RejectedAnswer(FailureDetail):
    """A row whose answer does not hold. The answer was paid for, and is kept.

    Attributes:
        kind: Why, in few words: ``cut off``, ``schema: /items/3/price is not a number``.
        reason: Why, in a sentence.
        completion: The answer that came nearest.
        times: How many answers were rejected.
    """

    kind: str = ""
    reason: str = ""
    completion: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1

    @classmethod
    def of(cls, rejection: Rejection, completion: Mapping[str, Any], times: int) -> RejectedAnswer:
        """Describe a row whose answer does not hold."""
        text = kept_answer(completion)["answer"]
        said = text.get("content") or text.get("tool_calls") or ""
        shown = said if isinstance(said, str) else orjson.dumps(said).decode()
        return cls(
            f"{rejection.message} The answer: {shown}",
            is_retryable=False,
            error_type=InferenceErrorType.PARSE_ERROR,
            kind=rejection.kind,
            reason=rejection.message,
            completion=completion,
            times=times,
        )

    @property
    def mark(self) -> dict[str, Any]:
        """What the metadata of a conversation say whose answer is kept all the same."""
        return {"kind": self.kind, "message": self.reason, "code": None, "times": self.times}

    def kept(self, asked: Conversation) -> Conversation:
        """Return the conversation with the answer, marked as rejected in its metadata."""
        answered = to_conversation(self.completion, asked)
        answered.metadata["rejected"] = self.mark
        return answered


@dataclass(frozen=True)
class OverBudgetRow(FailureDetail):
    """A row that was never sent, or not again: ``max_cost`` did not allow it."""


def to_failure(error: FireworksError | ValueError) -> FailureDetail:
    """Describe in Oumi's terms why a row has no answer."""
    if isinstance(error, OverBudgetError):
        return OverBudgetRow(str(error), is_retryable=True, error_type=InferenceErrorType.CONFIG)
    status, kind = None, InferenceErrorType.UNKNOWN
    may_help = is_retryable(error)
    if isinstance(error, APIError):
        status, kind = error.status, InferenceErrorType.API_STATUS
    elif isinstance(error, ConnectionFailedError):
        kind = InferenceErrorType.CONNECTION
    elif isinstance(error, MalformedAnswerError):
        kind = InferenceErrorType.PARSE_ERROR
    elif isinstance(error, ValueError):
        kind = InferenceErrorType.CONFIG
    elif isinstance(error, BatchError):  # no room, no time, another process: may be otherwise later
        kind, may_help = InferenceErrorType.ENGINE_FAILURE, True
    return FailureDetail(str(error), status_code=status, is_retryable=may_help, error_type=kind)


def of_batch_row(outcome: Rejected | Failure | Missing, message: str) -> FailureDetail:
    """Describe in Oumi's terms why a row of a batch has no answer.

    Args:
        outcome: What became of it.
        message: Why, in the service's words as far as it has any.
    """
    if isinstance(outcome, Rejected):
        return RejectedAnswer.of(outcome.rejection, outcome.completion, outcome.times)
    if isinstance(outcome, OverBudget):
        return OverBudgetRow(message, is_retryable=True, error_type=InferenceErrorType.CONFIG)
    if isinstance(outcome, UnreadableAnswer):
        return FailureDetail(message, error_type=InferenceErrorType.PARSE_ERROR)
    code = outcome.code if isinstance(outcome, Failure) else None
    status = int(code) if code and code.isdecimal() and 400 <= int(code) < 600 else None
    if code in CODES_OF_REFUSALS:
        status = 400
    return FailureDetail(
        message,
        status_code=status,
        is_retryable=status not in REFUSALS,
        error_type=InferenceErrorType.API_STATUS,
    )


def is_refused(failure: FailureDetail) -> bool:
    """Tell whether Fireworks has refused a row, and would refuse it again."""
    return not failure.is_retryable and failure.status_code in REFUSALS
