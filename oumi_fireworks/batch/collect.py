"""Bringing a batch's result files to the local disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oumi_fireworks.api import FireworksClient, Job
from oumi_fireworks.batch.ids import BatchId, output_dataset_id
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.batch.together import all_of
from oumi_fireworks.errors import NotFoundError, SpoolError
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

_DOWNLOADS_AT_ONCE = 4
_GOING = frozenset({"JOB_STATE_DELETING", "JOB_STATE_DELETING_CLEANING_UP"})
_GONE_TIMEOUT = 30.0


@dataclass(frozen=True)
class _Download:
    """A result file: where it is in its dataset, and where it goes."""

    dataset: str
    name: str
    path: Path


async def collect(
    client: FireworksClient, jobs: Sequence[Job], folder: Path, *, durable: bool = True
) -> list[Path]:
    """Download all result files of some jobs, several at once. Safe to repeat.

    A file that is there already is kept, also when Fireworks no longer has it; one that was cut
    goes on where it stopped.

    Args:
        client: The account.
        jobs: Jobs that have ended.
        folder: Gets a folder for each job. The files in it are numbered: the names that come
            over the network are never used as paths.
        durable: Whether the files have to outlast a crash of the machine, as those of a run do.

    Returns:
        The files, of a job that comes first first. None for a job without an output dataset,
        which is what a failed job has.

    Raises:
        SpoolError: If the local disk does not take them.
        FireworksError: If they cannot be fetched.
    """
    gate = asyncio.Semaphore(_DOWNLOADS_AT_ONCE)

    async def fetch(download: _Download) -> Path:
        async def url() -> str:
            urls = await client.datasets.download_urls(download.dataset)
            if download.name not in urls:
                raise NotFoundError(f"{download.name} is gone from {download.dataset}", status=404)
            return urls[download.name]

        async with gate:
            if not download.path.exists():
                await client.storage.get(url, download.path, durable=durable)
        return download.path

    try:
        downloads = [download for job in jobs for download in await _downloads(client, job, folder)]
        return await all_of(fetch(download) for download in downloads)
    except OSError as error:
        raise SpoolError(
            f"Cannot write the results to {folder}: {error.strerror or error}. They are safe on "
            "Fireworks. Make room and do the same again."
        ) from error


async def _downloads(client: FireworksClient, job: Job, folder: Path) -> list[_Download]:
    dataset = job.output_dataset or output_dataset_id(job.id)
    place = folder / BatchId.parse(job.id).text  # parsing refuses whatever is not a plain id
    names = await _names(client, job, dataset)
    if names is None:
        kept = sorted(place.glob("*.jsonl"), key=lambda path: int(path.stem))
        logger.info("Job %s (%s) has no results on Fireworks.", job.id, job.state)
        return [_Download(dataset, path.name, path) for path in kept]
    place.mkdir(parents=True, exist_ok=True)
    return [
        _Download(dataset, name, place / f"{number}.jsonl")
        for number, name in enumerate(sorted(names))
    ]


async def _names(client: FireworksClient, job: Job, dataset: str) -> list[str] | None:
    """Return the names of a job's result files; None where it has no results.

    A job that is being removed writes what it has finished before it is gone: that is waited for.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _GONE_TIMEOUT
    backoff = Backoff(first=0.1, bound=2.0)
    while True:
        is_going = job.state in _GOING and await _is_going(client, job)
        try:
            return list(await client.datasets.download_urls(dataset))
        except NotFoundError:
            if not is_going or loop.time() >= deadline:
                return None
        await asyncio.sleep(backoff.next())


async def _is_going(client: FireworksClient, job: Job) -> bool:
    try:
        return (await client.jobs.get(job.id)).state in _GOING
    except NotFoundError:
        return False
