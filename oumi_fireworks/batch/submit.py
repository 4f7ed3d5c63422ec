"""Making a batch's datasets and jobs, exactly once.

Every id is fixed before the first call, and every step first finds out what is there already. So
a step may be repeated after any failure, in this process or in a later one: a dataset, an upload
or a job whose answer was lost is found, not made a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from http import HTTPStatus
from pathlib import Path

from oumi_fireworks.api import DIRECT_UPLOAD_BYTES, Dataset, FireworksClient, Job
from oumi_fireworks.batch.ids import (
    batch_id,
    input_dataset_id,
    new_batch_stem,
    output_dataset_id,
)
from oumi_fireworks.batch.plan import JobSpec, PlannedJob, plan_jobs
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.batch.requests import Request
from oumi_fireworks.batch.shards import ShardLimits, nothing_submitted, write_shards
from oumi_fireworks.batch.together import all_of
from oumi_fireworks.errors import (
    BatchError,
    ConflictError,
    FireworksError,
    InvalidRequestError,
    NoRowsError,
    NotFoundError,
    SpoolError,
)
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

#: A request that is wrong, or a model that does not exist: no repetition will help.
REFUSALS = (InvalidRequestError, NotFoundError)

_READY_TIMEOUT = 600.0
_SETTLE_TIMEOUT = 5.0
_GONE_TIMEOUT = 60.0


async def submit_new(
    client: FireworksClient,
    rows: Iterable[Request],
    spec: JobSpec,
    *,
    folder: Path,
    limits: ShardLimits,
    concurrency: int,
) -> str:
    """Submit a new batch, or nothing.

    Args:
        client: The account.
        rows: The rows, in their order.
        spec: What the jobs have in common.
        folder: Where to write the requests until they are uploaded.
        limits: How to split them.
        concurrency: Uploads at once.

    Returns:
        The batch's id.

    Raises:
        NoRowsError: If there are no rows.
        RowError: If a row cannot be sent.
        FireworksError: What stopped it. Nothing is left on the account.
    """
    with nothing_submitted():
        shards = await write_shards(rows, folder, limits)
    if not shards:
        raise NoRowsError("There are no conversations to run. Nothing was submitted.")
    new = batch_id(new_batch_stem(), len(shards))
    jobs = plan_jobs(new, shards)
    await submit(client, jobs, spec, concurrency=concurrency, keep_on_failure=False)
    return new


async def submit(
    client: FireworksClient,
    jobs: Sequence[PlannedJob],
    spec: JobSpec,
    *,
    concurrency: int,
    keep_on_failure: bool,
) -> None:
    """Bring it about that every job exists. Safe to repeat.

    All inputs are in place before the first job is made, so that an upload that fails costs
    nothing.

    Args:
        client: The account.
        jobs: What is to exist.
        spec: What the jobs have in common.
        concurrency: Uploads at once.
        keep_on_failure: Whether to leave what was made when a step fails, for a later repeat.
            Otherwise everything is removed again, and no dataset stays behind.

    Raises:
        FireworksError: What stopped it.
    """
    gate = asyncio.Semaphore(concurrency)

    async def provide(job: PlannedJob) -> None:
        async with gate:
            await provide_input(client, job)

    try:
        await all_of(provide(job) for job in jobs if job.continues is None)
        for job in jobs:
            await provide_job(client, job, spec)
    except BaseException:
        if not keep_on_failure:
            await asyncio.shield(withdraw(client, jobs))
        raise


async def provide_input(client: FireworksClient, job: PlannedJob) -> None:
    """Bring it about that a job's input dataset exists and is ready. Safe to repeat."""
    dataset_id = input_dataset_id(job.job_id)
    try:
        dataset = await client.datasets.create(dataset_id, example_count=job.rows)
    except ConflictError:
        dataset = await client.datasets.get(dataset_id)
        _require_ours(dataset, job)
    if not dataset.is_ready:
        await _upload(client, dataset_id, job)


async def provide_job(client: FireworksClient, job: PlannedJob, spec: JobSpec) -> Job:
    """Bring it about that a job exists. Safe to repeat."""
    fields = spec.fields()
    if job.continues is None:
        fields["inputDatasetId"] = client.datasets.name(input_dataset_id(job.job_id))
    else:
        fields["continuedFromJobName"] = client.jobs.name(job.continues)
    fields["outputDatasetId"] = client.datasets.name(output_dataset_id(job.job_id))
    try:
        return await client.jobs.create(job.job_id, fields)
    except ConflictError as conflict:
        try:
            found = await client.jobs.get(job.job_id)
        except NotFoundError:
            # The id is taken, though not by a job: by an output dataset of that name, maybe.
            raise conflict from None
        expected = fields.get("inputDatasetId")
        if expected and found.input_dataset and found.input_dataset != expected:
            raise BatchError(
                f"A job {job.job_id} exists and reads {found.input_dataset}, not {expected}: it "
                "is not ours. Nothing was started; try again with a new batch."
            ) from conflict
        return found


async def with_finished_rows(client: FireworksClient, jobs: Sequence[PlannedJob]) -> list[str]:
    """Return the ids of those jobs that exist and have finished rows."""
    found = []
    for job in jobs:
        try:
            seen = await client.jobs.get(job.job_id)
        except NotFoundError:
            continue
        if seen.progress.processed:
            found.append(seen.id)
    return found


async def withdraw(client: FireworksClient, jobs: Sequence[PlannedJob]) -> None:
    """Remove what a failed submission made. What cannot be removed is logged by name."""
    await asyncio.gather(*(_withdraw_job(client, job) for job in jobs))


async def _withdraw_job(client: FireworksClient, job: PlannedJob) -> None:
    # The job first, and whole: a dataset that a job still uses cannot be removed.
    await _remove(f"job {job.job_id}", _delete_job(client, job.job_id))
    for dataset_id in (input_dataset_id(job.job_id), output_dataset_id(job.job_id)):
        await _remove(f"dataset {dataset_id}", client.datasets.delete(dataset_id))


async def _delete_job(client: FireworksClient, job_id: str) -> None:
    """Remove a job, and wait until it has let go of its datasets: until it is a 404."""
    await client.jobs.delete(job_id)
    backoff = Backoff(first=0.1, bound=2.0)
    async with asyncio.timeout(_GONE_TIMEOUT):
        while True:
            await client.jobs.get(job_id)
            await asyncio.sleep(backoff.next())


async def _remove(what: str, removal: Awaitable[None]) -> None:
    try:
        await removal
    except NotFoundError:
        pass  # as it should be
    except (FireworksError, TimeoutError) as error:
        logger.warning("Could not remove the %s of a failed submission: %s", what, error)


def _require_ours(dataset: Dataset, job: PlannedJob) -> None:
    if dataset.example_count != job.rows:
        raise BatchError(
            f"A dataset {dataset.id} exists with {dataset.example_count} rows instead of "
            f"{job.rows}: it is not ours. Nothing was started; try again with a new batch."
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
            f"Cannot read the file for dataset {dataset_id} from the local disk: {error}. Run "
            "again with the same input to write it anew."
        ) from error
    await _until_ready(client, dataset_id, _READY_TIMEOUT)


async def _upload_direct(client: FireworksClient, dataset_id: str, path: Path) -> bool:
    """Send a file straight to Fireworks; False if it takes less than it is said to."""
    sent_before = False

    async def attempt() -> None:
        nonlocal sent_before
        if sent_before and await _is_settled(client, dataset_id):
            return
        sent_before = True
        await client.datasets.upload(dataset_id, path)

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
        urls = await client.datasets.upload_urls(dataset_id, {path.name: size})
        return urls.get(path.name) or next(iter(urls.values()))

    try:
        await client.storage.put(path, url)
        await client.datasets.validate_upload(dataset_id)
    except (ConflictError, InvalidRequestError):
        # After a crash or a lost answer the file may be there, and becomes ready in this very
        # moment: then neither a URL is given nor can it be validated again.
        if not await _is_settled(client, dataset_id):
            raise


async def _is_settled(client: FireworksClient, dataset_id: str) -> bool:
    """Tell whether a dataset becomes ready by itself, because its file did arrive.

    As this comes before another attempt, it lasts no longer than a wait between attempts may.
    """
    try:
        await _until_ready(
            client, dataset_id, min(_SETTLE_TIMEOUT, client.connection.retry.wait_max)
        )
    except BatchError:
        return False
    return True


async def _until_ready(client: FireworksClient, dataset_id: str, timeout: float) -> None:
    """Poll a dataset until a job may use it, which takes Fireworks some seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    backoff = Backoff(first=0.02, bound=2.0)
    while True:
        dataset = await client.datasets.get(dataset_id)
        if dataset.is_ready:
            return
        if loop.time() >= deadline:
            said = f" It says: {dataset.status_message}." if dataset.status_message else ""
            raise BatchError(
                f"Dataset {dataset_id} is still {dataset.state or 'without a state'} after "
                f"{timeout:.0f} s.{said} Try again later."
            )
        await asyncio.sleep(backoff.next())
