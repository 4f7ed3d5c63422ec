"""A job's input dataset: created once, filled once, ready for the job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path

from oumi_fireworks.api import DIRECT_UPLOAD_BYTES, Dataset, FireworksClient
from oumi_fireworks.batch.absence import until_visible
from oumi_fireworks.batch.ids import input_dataset_id
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.batch.together import all_of
from oumi_fireworks.errors import (
    BatchError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
    RunMismatchError,
    SpoolError,
)
from oumi_fireworks.grammar import ended, number

_READY_TIMEOUT = 600.0
"""Seconds that a dataset has to become ready after its upload."""

_CONTENT_PREFIX = "oumi-fireworks "
"""Begins the display name of our inputs; the digest of their requests follows."""
_SHARED = " shared"
"""Ends it where rows have left their system message to the job: the file is another one then."""


async def provide_inputs(
    client: FireworksClient, jobs: Iterable[PlannedJob], concurrency: int
) -> None:
    """Create and fill the input datasets of all jobs that have one. Idempotent.

    Args:
        client: The account.
        jobs: The jobs.
        concurrency: Uploads at once.
    """
    await all_of(
        (provide_input(client, job) for job in jobs if job.continues is None), at_once=concurrency
    )


async def provide_input(client: FireworksClient, job: PlannedJob) -> None:
    """Create a job's input dataset, and fill it, unless that is done. Idempotent.

    Raises:
        RunMismatchError: If a dataset of that id holds something else.
        SpoolError: If the local file cannot be read.
        FireworksError: What stopped it.
    """
    dataset_id = input_dataset_id(job.job_id)
    is_new = True
    try:
        dataset = await client.datasets.create(
            dataset_id, example_count=job.rows, display_name=_content_name(job)
        )
    except ConflictError:
        # It was made before, by a call whose answer was lost or before a crash.
        is_new = False
        dataset = await until_visible(client, lambda: client.datasets.get(dataset_id))
        _require_ours(dataset, job)
    if dataset.is_ready or (not is_new and await _is_settled(client, dataset_id)):
        return
    await _upload(client, dataset_id, job)


async def holds_requests(client: FireworksClient, name: str, digest: str) -> bool:
    """Tell whether a dataset is an input of ours that was made for these requests.

    Args:
        client: The account.
        name: The dataset's name.
        digest: That of the requests: :attr:`~oumi_fireworks.batch.shards.Shard.digest`.
    """
    if not name:
        return False
    try:
        dataset = await client.datasets.get(name)
    except NotFoundError:
        return False
    return dataset.display_name.removesuffix(_SHARED) == f"{_CONTENT_PREFIX}{digest}"


def _content_name(job: PlannedJob) -> str:
    if not job.digest:
        return ""
    return f"{_CONTENT_PREFIX}{job.digest}{_SHARED if job.system_prompt is not None else ''}"


def _require_ours(dataset: Dataset, job: PlannedJob) -> None:
    if dataset.example_count != job.rows:
        raise RunMismatchError(
            f"A dataset {dataset.id} exists with {number(dataset.example_count, 'row')} instead of "
            f"{job.rows:,}: it is not ours. Nothing was started; try again with a new batch."
        )
    name = dataset.display_name
    if name.startswith(_CONTENT_PREFIX) and name != _content_name(job):
        raise RunMismatchError(
            f"A dataset {dataset.id} exists with other requests: the same rows were submitted "
            "under this id before, with other parameters or another hoist_system_prompt. What job "
            f"{job.job_id} has done can be "
            f"fetched with `oumi-fireworks batch results {job.job_id}`. Nothing was started."
        )


async def _upload(client: FireworksClient, dataset_id: str, job: PlannedJob) -> None:
    """Put a job's file into its dataset, once."""
    path = job.path
    assert path is not None
    try:
        is_small = job.size <= DIRECT_UPLOAD_BYTES
        if not (is_small and await _upload_direct(client, dataset_id, path)):
            await _upload_signed(client, dataset_id, path, job.size)
    except OSError as error:
        raise SpoolError(
            f"Cannot read the file for dataset {dataset_id} from the local disk: {ended(error)} "
            "Run again with the same input to write it anew."
        ) from error
    await _until_ready(client, dataset_id, _READY_TIMEOUT)


async def _upload_direct(client: FireworksClient, dataset_id: str, path: Path) -> bool:
    """Send a file straight to Fireworks; False if it takes less than it is said to."""
    may_have_arrived = False

    async def attempt() -> None:
        nonlocal may_have_arrived
        if may_have_arrived and await _is_settled(client, dataset_id):
            return
        may_have_arrived = True
        try:
            await until_visible(client, lambda: client.datasets.upload(dataset_id, path))
        except RateLimitError:
            may_have_arrived = False
            raise

    try:
        await client.connection.retry.run(attempt)
    except (ConflictError, InvalidRequestError) as refusal:
        if refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return False
        # A dataset that has its file refuses another: then the first one did arrive.
        if not await _is_settled(client, dataset_id):
            raise
    return True


async def _upload_signed(client: FireworksClient, dataset_id: str, path: Path, size: int) -> None:
    async def url() -> str:
        urls = await until_visible(
            client, lambda: client.datasets.upload_urls(dataset_id, {path.name: size})
        )
        return urls.get(path.name) or next(iter(urls.values()))

    try:
        await client.storage.put(path, url)
        await until_visible(client, lambda: client.datasets.validate_upload(dataset_id))
    except (ConflictError, InvalidRequestError):
        # After a crash or a lost answer the file may be there, and becomes ready in this very
        # moment: then neither a URL is given nor can it be validated again.
        if not await _is_settled(client, dataset_id):
            raise


async def _is_settled(client: FireworksClient, dataset_id: str) -> bool:
    """Tell whether a dataset becomes ready by itself, because its file did arrive."""
    try:
        await _until_ready(client, dataset_id, client.connection.consistency.gone_after)
    except BatchError:
        return False
    return True


async def _until_ready(client: FireworksClient, dataset_id: str, timeout: float) -> None:
    """Poll a dataset until a job may use it, which takes Fireworks some seconds.

    It was made, so a 404 is a read that is late.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    backoff = Backoff(first=0.02, bound=2.0)
    while True:
        said = "cannot be found"
        try:
            dataset = await client.datasets.get(dataset_id)
        except NotFoundError:
            pass
        else:
            if dataset.is_ready:
                return
            said = f"is still {dataset.state or 'without a state'}"
            if dataset.status_message:
                said += f" ({dataset.status_message})"
        if loop.time() >= deadline:
            raise BatchError(f"Dataset {dataset_id} {said} after {timeout:.0f} s. Try again later.")
        await asyncio.sleep(backoff.next())
