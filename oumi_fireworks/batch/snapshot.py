"""A batch at one moment: the sum of its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from oumi_fireworks.api import Dataset, FireworksClient, Job, Phase, Progress
from oumi_fireworks.batch.absence import Absence, looks
from oumi_fireworks.batch.ids import BatchId, input_dataset_id, output_dataset_id
from oumi_fireworks.batch.together import all_of
from oumi_fireworks.errors import NotFoundError
from oumi_fireworks.grammar import ended
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import Usage

logger = logger_for(__name__)

_ADVANCE = (
    Phase.VALIDATING,
    Phase.WAITING,
    Phase.RUNNING,
    Phase.FINALIZING,
    Phase.CANCELLING,
)
"""From the least advanced to the most: a batch is where its slowest job is."""
_VERDICT = (Phase.FAILED, Phase.EXPIRED, Phase.CANCELLED, Phase.COMPLETED)
"""Of jobs that have all ended, the first of these that occurs speaks for the batch."""

_REQUESTS_AT_ONCE = 8
GONE = "JOB_STATE_DELETED"
NOTHING_TO_DO = "JOB_STATE_COMPLETED"
"""The state of a batch without jobs: no row was to be sent."""
UNSEEN = "JOB_STATE_UNSPECIFIED"
"""The state of a job that was made and has not been seen yet: as the service's own zero value."""

_GONE_MESSAGE = "Fireworks no longer has this job: it was cancelled or removed."


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
        return next((phase for phase in _VERDICT if phase in phases), Phase.COMPLETED)

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
        return next((job.state for job in self.jobs if job.phase is self.phase), NOTHING_TO_DO)

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
    def used(self) -> Usage:
        """The tokens of all jobs, as the service counts them."""
        counts = self.progress
        return Usage(counts.input_tokens, counts.output_tokens, counts.cached_tokens)

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
    def window(self) -> timedelta:
        """How long each of its jobs may take; the shortest, should they differ."""
        return min((job.time_allowed for job in self.jobs), default=timedelta())

    @property
    def ended(self) -> datetime | None:
        """When the last job ended; None while one is at work.

        The lifecycle's end where the service gives one, else its last touch.
        """
        if not self.is_terminal:
            return None
        ends = (job.ended or job.updated for job in self.jobs)
        return max((end for end in ends if end), default=None)


class BatchView:
    """What is known of a batch, from one look to the next.

    A look that contradicts an earlier one is not believed at once: a job that is absent counts as
    it was seen last until it has been absent for long enough, and nothing that has ended goes on.
    A job that DELETE has stopped is a 404 in the end. It counts as cancelled then, and its output
    can still be fetched.

    Args:
        client: The account.
        batch_id: A batch's id; others' job ids will do too.
        refused: The service's words for jobs of it that it refused to create, by id.

    Raises:
        ValueError: If that cannot be an id.
    """

    def __init__(
        self, client: FireworksClient, batch_id: str, refused: Mapping[str, str] | None = None
    ) -> None:
        self._batch = BatchId.parse(batch_id)
        consistency = client.connection.consistency
        self.absent_after = consistency.absent_after(is_ours=self._batch.ours)
        """Seconds after which it is taken for absent, if there is no trace of it."""
        self._views = [
            _JobView(client, job_id, self.absent_after) for job_id in self._batch.job_ids
        ]
        for view in self._views:
            if refused and view.job_id in refused:
                view.be_refused(refused[view.job_id])

    @property
    def is_settled(self) -> bool:
        """Whether the last look has left no doubt about any job."""
        return not any(view.is_in_doubt for view in self._views)

    @property
    def has_trace(self) -> bool:
        """Whether anything of the batch was ever seen."""
        return any(view.has_trace for view in self._views)

    def expect_gone(self, job_id: str) -> None:
        """Believe at the first look that a job is gone: the service has agreed to remove it."""
        for view in self._views:
            if view.job_id == job_id:
                view.is_going = True

    async def look(self) -> Snapshot:
        """Fetch all jobs, and return what is known of the batch now.

        Raises:
            NotFoundError: If there is no trace of the batch, and that is believed.
        """
        await all_of((view.look() for view in self._views), at_once=_REQUESTS_AT_ONCE)
        if not any(view.has_trace or view.is_in_doubt for view in self._views):
            raise _not_found(self._batch, self._views[0].error)
        return Snapshot(self._batch.text, tuple(view.job for view in self._views))


class _JobView:
    """What is known of one job."""

    def __init__(self, client: FireworksClient, job_id: str, absent_after: float) -> None:
        self.job_id = job_id
        self.is_in_doubt = False
        self.is_going = False
        self._is_refused = False
        self.error: NotFoundError | None = None
        self._client = client
        self._absence = Absence(absent_after)
        self._last: Job | None = None
        self._input: Dataset | None = None

    @property
    def has_trace(self) -> bool:
        """Whether the job or its input was ever seen."""
        return self._last is not None or self._input is not None

    @property
    def job(self) -> Job:
        """The job as far as it is known."""
        return self._last or Job(
            id=self.job_id,
            name=self._client.jobs.name(self.job_id),
            state=UNSEEN,
            progress=Progress(total=self._input.example_count if self._input else 0),
        )

    def be_refused(self, message: str) -> None:
        """Note that there is no such job, and why."""
        self._is_refused = True
        self._last = replace(self.job, state="JOB_STATE_FAILED", message=message)

    async def look(self) -> None:
        """Fetch the job."""
        if self._is_refused:
            return
        try:
            job = await _with_total(self._client, await self._client.jobs.get(self.job_id))
        except NotFoundError as error:
            self.error = error
            await self._miss()
            return
        # It exists: from now on it is gone only after as long as for any other.
        self._absence = Absence(self._client.connection.consistency.gone_after)
        self.is_in_doubt = False
        self._last = job if self._last is None else later_of(self._last, job)

    async def _miss(self) -> None:
        last = self._last
        if last is not None and last.phase.is_terminal:
            self.is_in_doubt = False  # it has been seen to end, and is remembered
            return
        if last is None and self._input is None:
            self._input = await _input_of(self._client, self.job_id)
        believed = self._absence.absent(asyncio.get_running_loop().time())
        self.is_in_doubt = not (believed or self.is_going)
        if not self.is_in_doubt and self.has_trace:
            self._last = _gone_job(self._client, self.job_id, last, self._input)


async def take_snapshot(
    client: FireworksClient, batch_id: str, refused: Mapping[str, str] | None = None
) -> Snapshot:
    """Fetch all jobs of a batch. Look again while it is in doubt whether a job is there.

    Args:
        client: The account.
        batch_id: A batch's id; others' job ids will do too.
        refused: The service's words for jobs of it that it refused to create, by id.

    Raises:
        ValueError: If that cannot be an id.
        NotFoundError: If the account has no such batch.
    """
    return await settled(BatchView(client, batch_id, refused))


async def settled(view: BatchView) -> Snapshot:
    """Look at a batch until nothing is in doubt."""
    backoff = looks(view.absent_after)
    while True:
        was_settled = view.is_settled
        snapshot = await view.look()
        if view.is_settled:
            return snapshot
        if was_settled:
            logger.warning(
                "Fireworks does not show %s. What was made a moment ago may take a while to be "
                "seen: looking again, for up to %s.",
                f"all of batch {snapshot.batch_id}" if view.has_trace else snapshot.batch_id,
                f"{view.absent_after:.0f} s",
            )
        await asyncio.sleep(backoff.next())


def lost_snapshot(client: FireworksClient, batch_id: str) -> Snapshot:
    """Return what is known of a batch that Fireworks has no trace of any more."""
    jobs = (_gone_job(client, job_id) for job_id in BatchId.parse(batch_id).job_ids)
    return Snapshot(batch_id, tuple(jobs))


def later_of(before: Job, now: Job) -> Job:
    """Return what is known of a job after a further look, which may be out of date."""
    is_stale = before.phase.is_terminal and not now.phase.is_terminal
    if before.updated and now.updated and now.updated < before.updated:
        is_stale = True
    if is_stale:
        return before
    if now.progress.processed < before.progress.processed:
        return replace(now, progress=before.progress)
    return now


async def _with_total(client: FireworksClient, job: Job) -> Job:
    """Fill in the number of rows while the job has no progress to tell it."""
    if job.progress.total or not job.input_dataset:
        return job
    try:
        dataset = await client.datasets.get(job.input_dataset)
    except NotFoundError:
        return job
    return replace(job, progress=replace(job.progress, total=dataset.example_count))


async def _input_of(client: FireworksClient, job_id: str) -> Dataset | None:
    """Return the input of a job of ours that is not to be seen, if that one is."""
    if not BatchId.parse(job_id).ours:
        return None
    try:
        return await client.datasets.get(input_dataset_id(job_id))
    except NotFoundError:
        return None


def _gone_job(
    client: FireworksClient, job_id: str, last: Job | None = None, dataset: Dataset | None = None
) -> Job:
    """Return what is left of a job that is gone."""
    if last is not None:
        return replace(last, state=GONE, message=_GONE_MESSAGE)
    return Job(
        id=job_id,
        name=client.jobs.name(job_id),
        state=GONE,
        message=_GONE_MESSAGE,
        input_dataset=dataset.name if dataset else "",
        output_dataset=client.datasets.name(output_dataset_id(job_id)),
        created=dataset.created if dataset else None,
        progress=Progress(total=dataset.example_count if dataset else 0),
    )


def _not_found(batch: BatchId, error: NotFoundError | None) -> NotFoundError:
    return NotFoundError(
        f"There is no batch {batch.text} on this account: {ended(error or 'none was made')} "
        "`oumi-fireworks batch list` shows what there is.",
        status=error.status if error else 0,
        code=error.code if error else None,
    )
