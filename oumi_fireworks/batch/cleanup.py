"""Removing datasets that this package made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from oumi_fireworks.api import Dataset, FireworksClient, Job, every
from oumi_fireworks.api.values import id_of
from oumi_fireworks.batch.absence import until_visible
from oumi_fireworks.batch.ids import (
    BatchId,
    attempt_of,
    batch_id,
    batch_of_job,
    input_dataset_id,
    job_of_dataset,
    output_dataset_id,
    stem_of,
    stem_of_claim,
)
from oumi_fireworks.batch.together import all_of
from oumi_fireworks.errors import FireworksError, NotFoundError
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

_DELETIONS_AT_ONCE = 8
"""Requests under way at the same time."""

_LOOKED_FOR_AT_ONCE = 32
"""Jobs looked for at the same time. Most of the time each of them waits between two looks."""

_YOUNG = timedelta(hours=1)
"""Age below which a dataset without a job may be waiting for its job."""

_LONGEST_JOB = timedelta(days=4)
"""A job's window is 72 hours at the most: what is older than that and some is at work no more."""


@dataclass(frozen=True)
class Leftover:
    """A dataset of ours that no job at work uses.

    Attributes:
        dataset: The dataset.
        job_id: The job that it was made for. Where it only says what a key stands for: how the ids
            of the key's batch begin.
    """

    dataset: Dataset
    job_id: str

    @property
    def is_claim(self) -> bool:
        """Whether it only says what a key stands for (:mod:`oumi_fireworks.batch.claim`)."""
        return stem_of_claim(self.dataset.id) is not None


async def delete_datasets(client: FireworksClient, job_ids: Iterable[str]) -> None:
    """Remove the inputs and outputs of some jobs of ours; log what cannot be removed."""
    await delete_by_id(
        client,
        [
            dataset_id
            for job_id in job_ids
            for dataset_id in (input_dataset_id(job_id), output_dataset_id(job_id))
        ],
    )


async def delete_by_id(client: FireworksClient, dataset_ids: Iterable[str]) -> int:
    """Remove datasets, several at once; log what cannot be removed.

    Returns:
        How many are gone.
    """

    async def is_gone(dataset_id: str) -> bool:
        try:
            await client.datasets.delete(dataset_id)
        except NotFoundError:
            pass  # what was asked for
        except FireworksError as error:
            logger.warning("Could not remove the dataset %s: %s", dataset_id, error)
            return False
        return True

    gone = await all_of(map(is_gone, dataset_ids), at_once=_DELETIONS_AT_ONCE)
    return gone.count(True)


async def find_leftovers(
    client: FireworksClient, before: datetime | None = None, *, young: timedelta = _YOUNG
) -> list[Leftover]:
    """Find datasets that this package made and that no job at work uses.

    Results of jobs that have ended are among them: whoever removes them must have fetched them.
    A list may lag, so each dataset's own job is looked for as well. What a key stands for is kept
    as long as a job of it is known, ended or not.

    Args:
        client: The account.
        before: Only those made before this moment (with a time zone).
        young: A dataset without a job is spared while it is younger: its job may be on its way.
    """
    candidates = [
        Leftover(dataset, job_id)
        async for dataset in every(client.datasets.page)
        if (job_id := job_of_dataset(dataset.id) or stem_of_claim(dataset.id)) is not None
        and (before is None or (dataset.created is not None and dataset.created < before))
    ]
    if not candidates:
        return []
    # Listed after the datasets, so that a job made meanwhile is seen and its input spared.
    jobs = {job.name: job async for job in every(client.jobs.page)}

    stems = {stem_of(id_of(name)) for name in jobs}

    async def is_left(leftover: Leftover) -> bool:
        age = _age(leftover.dataset)
        if leftover.is_claim:
            return leftover.job_id not in stems and age >= young
        own = await _find_job(client, leftover.job_id, jobs, is_recent=age < _LONGEST_JOB)
        if own is None:
            return age >= young
        if not own.phase.is_terminal:
            return False
        further = _continuation_of(leftover.job_id)
        if further is None or leftover.dataset.id != input_dataset_id(leftover.job_id):
            return True
        rest = await _find_job(client, further, jobs, is_recent=age < _LONGEST_JOB)
        return rest is None or rest.phase.is_terminal or rest.continued_from != own.name

    busy = {name for job in jobs.values() if not job.phase.is_terminal for name in _used(job, jobs)}
    idle = [leftover for leftover in candidates if leftover.dataset.name not in busy]
    left = await all_of(map(is_left, idle), at_once=_LOOKED_FOR_AT_ONCE)
    return [leftover for leftover, is_one in zip(idle, left, strict=True) if is_one]


async def _find_job(
    client: FireworksClient, job_id: str, listed: Mapping[str, Job], *, is_recent: bool
) -> Job | None:
    """Return a job; None if there is none, which is believed slowly of what may be at work."""
    found = listed.get(client.jobs.name(job_id))
    if found is not None and found.phase.is_terminal:
        return found  # a list that lags does not end a job early

    async def get() -> Job:
        return await client.jobs.get(job_id)

    try:
        return await (until_visible(client, get) if is_recent else get())
    except NotFoundError:
        return None


def _continuation_of(job_id: str) -> str | None:
    """Return the id of the job that may do the rest of this one, and reads the same input."""
    batch = BatchId.parse(job_id)
    if not batch.ours or batch_of_job(job_id) != job_id:
        return None
    return batch_id(stem_of(job_id), 1, attempt_of(job_id) + 1)


def _age(dataset: Dataset) -> timedelta:
    return datetime.now(UTC) - dataset.created if dataset.created else timedelta.max


def _used(job: Job, jobs: Mapping[str, Job]) -> Iterator[str]:
    """Yield the datasets that a job uses. A continuation reads what the first job has read."""
    yield job.output_dataset
    seen: set[str] = set()
    at: Job | None = job
    while at is not None and at.name not in seen:
        seen.add(at.name)
        yield at.input_dataset
        at = jobs.get(at.continued_from)
