"""Why rows have no answer, in Oumi's terms."""

from __future__ import annotations

from oumi.core.inference.base_inference_engine import (
    BatchResult,
    FailureDetail,
    InferenceErrorType,
)
from oumi.core.types.conversation import Conversation

from oumi_fireworks.api import is_retryable
from oumi_fireworks.batch import BatchResults, FailureSummary
from oumi_fireworks.errors import (
    APIError,
    ConnectionFailedError,
    FireworksError,
    IncompleteBatchError,
    MalformedAnswerError,
)

_KINDS_SHOWN = 5


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


def to_outcomes(partial: BatchResult, rows: int) -> list[Conversation | FailureDetail]:
    """Align a batch's result with its input, as ``infer_partial`` wants it."""
    answered = dict(partial.successful)
    return [
        answered[index]
        if index in answered
        else FailureDetail(
            partial.error_messages[index],
            is_retryable=True,
            error_type=InferenceErrorType.API_STATUS,
        )
        for index in range(rows)
    ]


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
    kinds = "; ".join(failures.lines()[:_KINDS_SHOWN])
    return IncompleteBatchError(
        f"Batch {results.batch_id} ended as {last.state}, and {len(partial.failed_indices):,} of "
        f"{rows:,} rows have no answer.{reason} {kinds}. {advice}",
        partial=partial,
        counts=results.index.counts.rows,
        messages=failures.messages(),
    )
