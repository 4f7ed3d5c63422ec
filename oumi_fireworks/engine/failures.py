"""Why rows have no answer, in Oumi's terms."""

from __future__ import annotations

from oumi.core.inference.base_inference_engine import (
    FailureDetail,
    InferenceErrorType,
)

from oumi_fireworks.api import is_retryable
from oumi_fireworks.batch import (
    Failure,
    Missing,
    UnreadableAnswer,
)
from oumi_fireworks.errors import (
    APIError,
    BatchError,
    ConnectionFailedError,
    FireworksError,
    MalformedAnswerError,
)

_REFUSALS = frozenset({400, 413, 422})
_CODES_OF_REFUSALS = frozenset({"BAD_REQUEST", "INVALID_ARGUMENT"})
"""Names under which a row of a batch is refused: the inference plane's, and gRPC's."""


def to_failure(error: FireworksError | ValueError) -> FailureDetail:
    """Describe in Oumi's terms why a row has no answer."""
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


def of_batch_row(outcome: Failure | Missing, message: str) -> FailureDetail:
    """Describe in Oumi's terms why a row of a batch has no answer.

    Args:
        outcome: What became of it.
        message: Why, in the service's words as far as it has any.
    """
    if isinstance(outcome, UnreadableAnswer):
        return FailureDetail(message, error_type=InferenceErrorType.PARSE_ERROR)
    code = outcome.code if isinstance(outcome, Failure) else None
    status = int(code) if code and code.isdecimal() and 400 <= int(code) < 600 else None
    if code in _CODES_OF_REFUSALS:
        status = 400
    return FailureDetail(
        message,
        status_code=status,
        is_retryable=status not in _REFUSALS,
        error_type=InferenceErrorType.API_STATUS,
    )


def is_refused(failure: FailureDetail) -> bool:
    """Tell whether Fireworks has refused a row, and would refuse it again."""
    return not failure.is_retryable and failure.status_code in _REFUSALS
