"""What a person should hear about jobs that do not come along: pure functions of what is seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from oumi_fireworks.api import Job, Phase
from oumi_fireworks.batch.snapshot import Snapshot
from oumi_fireworks.grammar import form, number

CREATING_WARNING = 1800.0
"""Seconds in CREATING after which Fireworks' guide to batch inference says to ask its support."""

_NEAR_THE_END = 0.1
"""The part of a window that is left, and of the rows that is open, when a warning is due."""


class Concern(NamedTuple):
    """Something that a person should know of.

    Attributes:
        kind: What tells it from others: each kind is told once.
        message: Some sentences.
    """

    kind: str
    message: str


def standing(
    snapshot: Snapshot, stood: Mapping[str, float], pending_warning: float
) -> Concern | None:
    """Tell of a job that stands still where it should not.

    RE_QUEUEING is no trouble: Fireworks takes a job off its machines and goes on with it later.
    Neither is RUNNING without a row for over half an hour, which was seen on the service.

    Args:
        snapshot: The batch.
        stood: For how many seconds each job has been seen in its state, by id.
        pending_warning: After how many seconds it is too long.
    """
    late = [job for job in snapshot.jobs if _is_late(job, stood.get(job.id, 0.0), pending_warning)]
    if not late:
        return None
    # An account that is suspended explains what all of its jobs do.
    job = next((each for each in late if each.state == "JOB_STATE_PAUSED"), late[0])
    return Concern(
        job.state,
        f"Batch {snapshot.batch_id} has been {job.state} for "
        f"{number(round(stood[job.id] / 60), 'minute')}. "
        f"{_why(job, snapshot)} `oumi-fireworks batch cancel {snapshot.batch_id}` stops it.",
    )


def _is_late(job: Job, stood: float, pending_warning: float) -> bool:
    if job.state == "JOB_STATE_CREATING":
        return stood >= CREATING_WARNING
    if job.state == "JOB_STATE_RE_QUEUEING":
        return False
    return job.phase in (Phase.VALIDATING, Phase.WAITING) and stood >= pending_warning


def _why(job: Job, snapshot: Snapshot) -> str:
    if job.state == "JOB_STATE_PAUSED":
        return "Fireworks pauses the jobs of a suspended account; see its billing page."
    if job.state == "JOB_STATE_CREATING":
        return (
            "Its machines are being set up, which takes minutes; after 30 of them Fireworks asks "
            f"to be told: name the job {job.id} to its support."
        )
    if job.phase is Phase.VALIDATING:
        return "Its input is being checked, which takes minutes even for a large one."
    if any(each.started or each.progress.processed for each in snapshot.jobs):
        return "Capacity may be short."  # the model is no question: it has begun
    return (
        f"Capacity may be short, or the model {job.model} may not support batch inference: such "
        "jobs wait until they expire. `oumi-fireworks models` shows the models."
    )


def expiring(snapshot: Snapshot, now: datetime) -> Iterator[Concern]:
    """Tell of jobs that are near the end of their window with many rows open.

    Args:
        snapshot: The batch.
        now: The time here. Where the service's own is later, that one counts.
    """
    for job in snapshot.jobs:
        ends = job.expires or (job.created and job.created + job.time_allowed)
        if ends is None or job.phase.is_terminal or job.phase is Phase.FINALIZING:
            continue
        left = ends - max(now, job.updated or now)
        total, open_rows = job.progress.total, job.progress.total - job.progress.processed
        if left <= job.time_allowed * _NEAR_THE_END and open_rows > total * _NEAR_THE_END:
            yield Concern(f"{job.id} expires", _expiry(job, left, open_rows))


def _expiry(job: Job, left: timedelta, open_rows: int) -> str:
    hours = job.time_allowed.total_seconds() / 3600
    minutes = max(0, round(left.total_seconds() / 60))
    longer = (
        " A longer batch_window, up to 72h, gives the next job more time." if hours < 72 else ""
    )
    return (
        f"Job {job.id} has {number(minutes, 'minute')} left of its {hours:g} "
        f"{form(hours, 'hour')}, and {open_rows:,} of {number(job.progress.total, 'row')} "
        f"{form(open_rows, 'is', 'are')} open. When it expires, the rows that are finished are "
        "kept and paid for; the others have no answer, and run again as a further job, as "
        f"row_retries or a retry allow.{longer}"
    )
