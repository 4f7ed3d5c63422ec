"""Removing datasets that this package made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from oumi_fireworks.api import Dataset, FireworksClient, Job, every
from oumi_fireworks.batch.ids import input_dataset_id, job_of_dataset, output_dataset_id
from oumi_fireworks.errors import FireworksError, NotFoundError
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

_REQUESTS_AT_ONCE = 8


@dataclass(frozen=True)
class Leftover:
    """A dataset of ours that no job at work uses.

    Attributes:
        dataset: The dataset.
        job_id: The job that it was made for.
    """

    dataset: Dataset
    job_id: str


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
    gate = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def delete(dataset_id: str) -> bool:
        async with gate:
            try:
                await client.datasets.delete(dataset_id)
            except NotFoundError:
                pass  # what was asked for
            except FireworksError as error:
                logger.warning("Could not remove the dataset %s: %s", dataset_id, error)
                return False
            return True

    return sum(await asyncio.gather(*(delete(dataset_id) for dataset_id in dataset_ids)))


async def find_leftovers(client: FireworksClient, before: datetime | None = None) -> list[Leftover]:
    """Find datasets that this package made and that no job at work uses.

    Results of jobs that have ended are among them: whoever removes them must have fetched them.

    Args:
        client: The account.
        before: Only those made before this moment (with a time zone).
    """
    candidates = [
        Leftover(dataset, job_id)
        async for dataset in every(client.datasets.page)
        if (job_id := job_of_dataset(dataset.id)) is not None
        and (before is None or (dataset.created is not None and dataset.created < before))
    ]
    if not candidates:
        return []
    # Listed after the datasets, so that a job made meanwhile is seen and its input spared.
    jobs = {job.name: job async for job in every(client.jobs.page)}
    busy = {name for job in jobs.values() if not job.phase.is_terminal for name in _used(job, jobs)}
    return [leftover for leftover in candidates if leftover.dataset.name not in busy]


def _used(job: Job, jobs: Mapping[str, Job]) -> Iterator[str]:
    """Yield the datasets that a job uses. A continuation reads what the first job has read."""
    yield job.output_dataset
    seen: set[str] = set()
    at: Job | None = job
    while at is not None and at.name not in seen:
        seen.add(at.name)
        yield at.input_dataset
        at = jobs.get(at.continued_from)
