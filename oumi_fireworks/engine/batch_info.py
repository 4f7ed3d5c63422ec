"""A batch at one moment, in Oumi's terms."""

from __future__ import annotations

from typing import Any

from oumi.inference.remote_inference_engine import BatchInfo, BatchStatus

from oumi_fireworks.api import Job, Phase
from oumi_fireworks.batch import Snapshot

_STATUS = {
    Phase.VALIDATING: BatchStatus.VALIDATING,
    Phase.WAITING: BatchStatus.IN_PROGRESS,
    Phase.RUNNING: BatchStatus.IN_PROGRESS,
    Phase.FINALIZING: BatchStatus.FINALIZING,
    Phase.COMPLETED: BatchStatus.COMPLETED,
    Phase.FAILED: BatchStatus.FAILED,
    Phase.EXPIRED: BatchStatus.EXPIRED,
    Phase.CANCELLING: BatchStatus.CANCELLING,
    Phase.CANCELLED: BatchStatus.CANCELLED,
}


def to_batch_info(snapshot: Snapshot) -> BatchInfo:
    """Say in Oumi's terms how a batch stands.

    Timestamps are in UTC and have their zone. ``metadata`` holds what Oumi has no field for:
    ``state`` (raw), ``model``, ``input_dataset``, ``output_dataset``, ``percent``, the token
    counts, ``waiting_on_capacity``, ``continued_from``, and for several jobs one entry each under
    ``jobs``.
    """
    phase, progress = snapshot.phase, snapshot.progress
    updated = max((job.updated for job in snapshot.jobs if job.updated), default=None)
    ended = snapshot.ended
    return BatchInfo(
        id=snapshot.batch_id,
        status=_STATUS[phase],
        total_requests=progress.total,
        completed_requests=progress.succeeded,
        failed_requests=progress.failed,
        endpoint="/v1/chat/completions",
        input_file_id=_joined(job.input_dataset for job in snapshot.jobs),
        output_file_id=_joined(job.output_dataset for job in snapshot.jobs),
        batch_completion_window="24h",
        error=snapshot.error,
        created_at=snapshot.created,
        in_progress_at=snapshot.started,
        expires_at=snapshot.expires,
        finalizing_at=updated if phase is Phase.FINALIZING else None,
        completed_at=ended if phase is Phase.COMPLETED else None,
        failed_at=ended if phase is Phase.FAILED else None,
        expired_at=ended if phase is Phase.EXPIRED else None,
        canceling_at=updated if phase is Phase.CANCELLING else None,
        canceled_at=ended if phase is Phase.CANCELLED else None,
        metadata=_metadata(snapshot),
    )


def _metadata(snapshot: Snapshot) -> dict[str, Any]:
    progress = snapshot.progress
    metadata: dict[str, Any] = {
        "state": snapshot.state,
        "model": snapshot.jobs[0].model or None,
        "display_name": snapshot.jobs[0].display_name or None,
        "input_dataset": _joined(job.input_dataset for job in snapshot.jobs),
        "output_dataset": _joined(job.output_dataset for job in snapshot.jobs),
        "percent": progress.percent,
        "processed_requests": progress.processed,
        "input_tokens": progress.input_tokens,
        "output_tokens": progress.output_tokens,
        "cached_input_tokens": progress.cached_tokens,
        "waiting_on_capacity": snapshot.waiting_on_capacity,
        "continued_from": _joined(job.continued_from for job in snapshot.jobs),
    }
    if len(snapshot.jobs) > 1:
        metadata["jobs"] = [_job_metadata(job) for job in snapshot.jobs]
    return metadata


def _job_metadata(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "percent": job.progress.percent,
        "total_requests": job.progress.total,
        "completed_requests": job.progress.succeeded,
        "failed_requests": job.progress.failed,
        "error": job.message or None,
    }


def _joined(names: Any) -> str | None:
    """Return one name as it is and several with commas; None for none."""
    return ",".join(name for name in names if name) or None
