"""Our errors in Oumi's terms."""

from __future__ import annotations

from oumi.core.inference.base_inference_engine import FailureDetail, InferenceErrorType

from oumi_fireworks.api import is_retryable
from oumi_fireworks.errors import (
    APIError,
    ConnectionFailedError,
    FireworksError,
    MalformedAnswerError,
)


def to_failure(error: FireworksError | ValueError) -> FailureDetail:
    """Describe in Oumi's terms why a row has no answer."""
    status, kind = None, InferenceErrorType.UNKNOWN
    if isinstance(error, APIError):
        status, kind = error.status, InferenceErrorType.API_STATUS
    elif isinstance(error, ConnectionFailedError):
        kind = InferenceErrorType.CONNECTION
    elif isinstance(error, MalformedAnswerError):
        kind = InferenceErrorType.PARSE_ERROR
    elif isinstance(error, ValueError):
        kind = InferenceErrorType.CONFIG
    return FailureDetail(
        str(error), status_code=status, is_retryable=is_retryable(error), error_type=kind
    )
