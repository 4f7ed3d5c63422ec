"""Bringing a batch's result files to the local disk."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import xxhash

from oumi_fireworks.api import FireworksClient, Job
from oumi_fireworks.batch.ids import BatchId, output_dataset_id
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.batch.together import all_of
from oumi_fireworks.errors import NotFoundError, SpoolError, StorageError
from oumi_fireworks.files import make_private_folder
from oumi_fireworks.grammar import ended
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

_DOWNLOADS_AT_ONCE = 4
"""Files under way at the same time."""

_GOING = frozenset({"JOB_STATE_DELETING", "JOB_STATE_DELETING_CLEANING_UP"})
"""States of a job that is being removed."""

_GONE_TIMEOUT = 30.0
"""Seconds that a job which is being removed has for writing its results."""

_OUR_NAME = re.compile(r"[0-9a-f]{16}\.jsonl")
"""What :func:`local_name` returns."""


@dataclass(frozen=True)
class CollectedFiles:
    """The result files of a batch on the local disk.

    Attributes:
        files: The files, in the order of their jobs.
        unfetched: Names of files that Fireworks lists and does not give.
    """

    files: tuple[Path, ...]
    unfetched: tuple[str, ...]


@dataclass(frozen=True)
class _Download:
    """A result file: whose it is, where it is in its dataset, and where it goes."""

    job_id: str
    dataset: str
    name: str
    path: Path


async def collect(
    client: FireworksClient,
    jobs: Sequence[Job],
    folder: Path,
    *,
    durable: bool = True,
    again: Collection[str] = (),
) -> CollectedFiles:
    """Download all result files of some jobs, several at once. Idempotent.

    A file that is there already is kept, also when Fireworks no longer has it; one that was cut
    goes on where it stopped.

    Args:
        client: The account.
        jobs: Jobs that have ended.
        folder: Gets a folder for each job. A file in it is named by a hash of its name on
            Fireworks: what comes over the network is never used as a path.
        durable: Whether the files have to outlast a crash of the machine, as those of a run do.
        again: Ids of jobs whose files may have grown since they were fetched.

    Returns:
        The files; a job without an output dataset, such as one that has failed, has none.

    Raises:
        SpoolError: If the local disk does not take them.
        FireworksError: If they cannot be fetched for now.
    """

    async def look(job: Job) -> tuple[_Download, ...]:
        return await _listed(client, job, _place(folder, job))

    async def fetch(download: _Download) -> str | None:
        """Fetch a file; return its name if Fireworks does not give it."""
        if download.path.exists() and download.job_id not in again:
            return None
        try:
            await _fetch(client, download, durable)
        except (NotFoundError, StorageError) as error:
            logger.warning("Cannot fetch %s: %s", download.name, error)
            return download.name
        return None

    try:
        found = await all_of(map(look, jobs), at_once=_DOWNLOADS_AT_ONCE)
        missed = await all_of(map(fetch, chain.from_iterable(found)), at_once=_DOWNLOADS_AT_ONCE)
        # Also what was fetched before and is not listed this time.
        files = tuple(path for job in jobs for path in _files_in(_place(folder, job)))
    except OSError as error:
        raise SpoolError(
            f"Cannot write the results to {folder}: {ended(error.strerror or error)} They are safe "
            "on Fireworks. Make room and do the same again."
        ) from error
    return CollectedFiles(files, tuple(name for name in missed if name is not None))


def _place(folder: Path, job: Job) -> Path:
    return folder / BatchId.parse(job.id).text  # parsing refuses whatever is not a plain id


async def _listed(client: FireworksClient, job: Job, place: Path) -> tuple[_Download, ...]:
    """Return what Fireworks lists of a job's results, and make the folder for it."""
    dataset = _output_of(job)
    names = await _names(client, job, dataset)
    if names is None:
        logger.info("Job %s (%s) has no results on Fireworks.", job.id, job.state)
        return ()
    make_private_folder(place)
    return tuple(_Download(job.id, dataset, name, place / local_name(name)) for name in names)


def files_of(folder: Path, job_id: str) -> list[Path]:
    """Return the result files of a job that are here, from the folder of its attempt."""
    return _files_in(folder / BatchId.parse(job_id).text)


def _files_in(place: Path) -> list[Path]:
    if not place.exists():
        return []
    return sorted(path for path in place.iterdir() if _OUR_NAME.fullmatch(path.name))


def local_name(name: str) -> str:
    """Return the local name of a result file. It says nothing of the order that files come in."""
    return f"{xxhash.xxh3_64_hexdigest(name.encode('utf-8', 'replace'))}.jsonl"


async def _fetch(client: FireworksClient, download: _Download, durable: bool) -> None:
    """Fetch a file, or fetch it anew if it is another one by now."""

    async def url() -> str:
        urls = await client.datasets.download_urls(download.dataset)
        if download.name not in urls:
            raise NotFoundError(f"{download.name} is gone from {download.dataset}", status=404)
        return urls[download.name]

    await client.storage.get(url, download.path, durable=durable)


def _output_of(job: Job) -> str:
    """Return a job's output dataset. That of a job of ours has the name that we gave it."""
    if BatchId.parse(job.id).ours or not job.output_dataset:
        return output_dataset_id(job.id)
    return job.output_dataset


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
            return sorted(await client.datasets.download_urls(dataset))
        except NotFoundError:
            if not is_going or loop.time() >= deadline:
                return None
        await asyncio.sleep(backoff.next())


async def _is_going(client: FireworksClient, job: Job) -> bool:
    try:
        return (await client.jobs.get(job.id)).state in _GOING
    except NotFoundError:
        return False
