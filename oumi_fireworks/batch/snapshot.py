"""A batch at one moment: the sum of its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from oumi_fireworks.api import FireworksClient, Job, Phase, Progress
from oumi_fireworks.batch.ids import BatchId, input_dataset_id, output_dataset_id
from oumi_fireworks.batch.together import all_of
from oumi_fireworks.errors import NotFoundError

# From the least advanced to the most: the batch is where its slowest job is.
_ADVANCE = (
    Phase.VALIDATING,
    Phase.WAITING,
    Phase.RUNNING,
    Phase.FINALIZING,
    Phase.CANCELLING,
)
# Of jobs that have all ended, the first of these that occurs speaks for the batch.
_VERDICT = (Phase.FAILED, Phase.EXPIRED, Phase.CANCELLED, Phase.COMPLETED)

_REQUESTS_AT_ONCE = 8
GONE = "JOB_STATE_DELETED"


@dataclass(frozen=True)
class Snapshot:
    """A batch at one moment.

    Attributes:
        batch_id: The batch's id.
        jobs: Its jobs, in the order of their rows.
    """

    batch_id: str
    jobs: tuple[Job, ...]

    @property
    def phase(self) -> Phase:
        """The least advanced job's phase; when all have ended, the worst end."""
        phases = {job.phase for job in self.jobs}
        for phase in _ADVANCE:
            if phase in phases:
                return phase
        return next(phase for phase in _VERDICT if phase in phases)

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase.is_terminal

    @property
    def is_failed(self) -> bool:
        """Whether it has ended, and a job of it failed as a whole."""
        return self.phase is Phase.FAILED

    @property
    def state(self) -> str:
        """The raw state of the job that :attr:`phase` is taken from."""
        return next(job.state for job in self.jobs if job.phase is self.phase)

    @property
    def progress(self) -> Progress:
        """Rows and tokens of all jobs; the percentage is weighted by their rows."""
        parts = [job.progress for job in self.jobs]
        total = sum(part.total for part in parts)
        weighted = sum(part.percent * max(part.total, 1) for part in parts)
        return Progress(
            percent=weighted // max(sum(max(part.total, 1) for part in parts), 1),
            total=total,
            processed=sum(part.processed for part in parts),
            succeeded=sum(part.succeeded for part in parts),
            failed=sum(part.failed for part in parts),
            input_tokens=sum(part.input_tokens for part in parts),
            output_tokens=sum(part.output_tokens for part in parts),
            cached_tokens=sum(part.cached_tokens for part in parts),
        )

    @property
    def error(self) -> str | None:
        """Why jobs failed, or None. Names the jobs unless it is the same for all of them."""
        concerned: dict[str, list[str]] = {}
        for job in self.jobs:
            is_trouble = job.phase in (Phase.FAILED, Phase.EXPIRED) or job.state == GONE
            if is_trouble or (job.message and job.phase is Phase.CANCELLED):
                text = job.message or f"the job ended as {job.state}"
                concerned.setdefault(text, []).append(job.id)
        messages = (
            text if len(ids) == len(self.jobs) else f"{', '.join(ids)}: {text}"
            for text, ids in concerned.items()
        )
        return "; ".join(messages) or None

    @property
    def waiting_on_capacity(self) -> bool:
        """Whether a job waits for a machine."""
        return any(job.waiting_on_capacity for job in self.jobs)

    @property
    def created(self) -> datetime | None:
        """When the first job was made."""
        return min((job.created for job in self.jobs if job.created), default=None)

    @property
    def started(self) -> datetime | None:
        """When the first job began to run."""
        return min((job.started for job in self.jobs if job.started), default=None)

    @property
    def expires(self) -> datetime | None:
        """When the first job will expire."""
        return min((job.expires for job in self.jobs if job.expires), default=None)

    @property
    def ended(self) -> datetime | None:
        """When the last job ended; None while one is at work.

        The lifecycle's end where the service gives one, else its last touch.
        """
        if not self.is_terminal:
            return None
        ends = (job.ended or job.updated for job in self.jobs)
        return max((end for end in ends if end), default=None)


async def take_snapshot(client: FireworksClient, batch_id: str) -> Snapshot:
    """Fetch all jobs of a batch.

    A job that DELETE has stopped is a 404. When its input dataset is still there, we know that it
    was ours and is over: it counts as cancelled, and its output can still be fetched.

    Args:
        client: The account.
        batch_id: A batch's id; others' job ids will do too.

    Raises:
        ValueError: If that cannot be an id.
        NotFoundError: If the account has no such batch.
    """
    parsed = BatchId.parse(batch_id)
    gate = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def fetch(job_id: str) -> Job | NotFoundError:
        async with gate:
            try:
                return await _with_total(client, await client.jobs.get(job_id))
            except NotFoundError as error:
                return await _gone(client, job_id, error) if parsed.ours else error

    found = await all_of(fetch(job_id) for job_id in parsed.job_ids)
    if not any(isinstance(job, Job) for job in found):
        raise _not_found(parsed, found)
    jobs = (
        job if isinstance(job, Job) else _lost_job(client, job_id)
        for job_id, job in zip(parsed.job_ids, found, strict=True)
    )
    return Snapshot(parsed.text, tuple(jobs))


async def _with_total(client: FireworksClient, job: Job) -> Job:
    """Fill in the number of rows while the job has no progress to tell it."""
    if job.progress.total or not job.input_dataset:
        return job
    try:
        dataset = await client.datasets.get(job.input_dataset)
    except NotFoundError:
        return job
    return replace(job, progress=replace(job.progress, total=dataset.example_count))


def lost_snapshot(client: FireworksClient, batch_id: str) -> Snapshot:
    """Return what is known of a batch that Fireworks has no trace of any more."""
    jobs = (_lost_job(client, job_id) for job_id in BatchId.parse(batch_id).job_ids)
    return Snapshot(batch_id, tuple(jobs))


async def _gone(client: FireworksClient, job_id: str, error: NotFoundError) -> Job | NotFoundError:
    try:
        dataset = await client.datasets.get(input_dataset_id(job_id))
    except NotFoundError:
        return error
    return replace(
        _lost_job(client, job_id),
        input_dataset=dataset.name,
        created=dataset.created,
        progress=Progress(total=dataset.example_count),
    )


def _lost_job(client: FireworksClient, job_id: str) -> Job:
    return Job(
        id=job_id,
        name=client.jobs.name(job_id),
        state=GONE,
        message="Fireworks no longer has this job: it was cancelled or removed.",
        output_dataset=client.datasets.name(output_dataset_id(job_id)),
    )


def _not_found(batch: BatchId, found: Sequence[Job | NotFoundError]) -> NotFoundError:
    first = next(error for error in found if isinstance(error, NotFoundError))
    return NotFoundError(
        f"There is no batch {batch.text} on this account: {str(first).rstrip('.')}. "
        "`oumi-fireworks batch list` shows what there is.",
        status=first.status,
        code=first.code,
    )
