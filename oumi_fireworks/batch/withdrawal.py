"""Removing what a failed submission made, and nothing that was paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from oumi_fireworks.api import FireworksClient, Job, Phase
from oumi_fireworks.batch.absence import until_visible
from oumi_fireworks.batch.ids import input_dataset_id, output_dataset_id
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.errors import FireworksError, InvalidRequestError, NotFoundError
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

_GONE_TIMEOUT = 60.0
"""Seconds that a job has to be gone after its removal."""

_IDLE = frozenset({Phase.VALIDATING, Phase.WAITING, Phase.FAILED, Phase.CANCELLED})
_GOING = frozenset({"JOB_STATE_DELETING", "JOB_STATE_DELETING_CLEANING_UP", "JOB_STATE_DELETED"})


async def withdraw(
    client: FireworksClient, jobs: Sequence[PlannedJob], maybe_made: Collection[str]
) -> list[str]:
    """Remove the datasets and jobs of a submission, all that have not begun.

    A job that has begun stays, with its datasets: what it does is paid for. What cannot be
    removed is logged by name.

    Args:
        client: The account.
        jobs: All jobs of the submission.
        maybe_made: Ids of those whose creation was asked for and not refused. They are looked
            for until their absence is believed.

    Returns:
        The ids of the jobs that stay.
    """
    stays = await asyncio.gather(
        *(_withdraw_job(client, job.job_id, job.job_id in maybe_made) for job in jobs)
    )
    return [job.job_id for job, stay in zip(jobs, stays, strict=True) if stay]


async def _withdraw_job(client: FireworksClient, job_id: str, maybe_made: bool) -> bool:
    """Remove one job with its datasets; tell whether it stays."""
    output = output_dataset_id(job_id)
    if maybe_made:
        try:
            found = await _find(client, job_id)
            if found is not None:
                if has_begun(found):
                    return True
                # The job first, and whole: a dataset that a job still uses cannot be removed.
                await _delete_job(client, job_id)
                has_rows = await _has_rows(client, output)
                if has_rows:  # it began in this very moment
                    return True
                if has_rows is not None:  # what was not seen may be late, and have rows
                    await _remove(
                        client, f"dataset {output}", lambda: client.datasets.delete(output)
                    )
        except (FireworksError, TimeoutError) as error:
            logger.warning("Could not remove the job %s of a failed submission: %s", job_id, error)
            return True
    name = input_dataset_id(job_id)
    await _remove(client, f"dataset {name}", lambda: client.datasets.delete(name))
    return False


def has_begun(job: Job) -> bool:
    """Tell whether a job may have finished rows, which are paid for."""
    return bool(job.started or job.progress.processed or job.phase not in _IDLE)


async def _find(client: FireworksClient, job_id: str) -> Job | None:
    try:
        return await until_visible(client, lambda: client.jobs.get(job_id))
    except NotFoundError:
        return None


async def _has_rows(client: FireworksClient, dataset_id: str) -> bool | None:
    """Tell whether an output holds answers; None where it is not to be seen."""
    try:
        dataset = await client.datasets.get(dataset_id)
        return dataset.example_count > 0 and bool(await client.datasets.download_urls(dataset_id))
    except NotFoundError:
        return None


async def _delete_job(client: FireworksClient, job_id: str) -> None:
    """Remove a job that exists, and wait until it has let go of its datasets: until it is a 404.

    A removal that is under way already is waited for like our own.
    """
    backoff = Backoff(first=0.1, bound=2.0)
    async with asyncio.timeout(_GONE_TIMEOUT + client.connection.consistency.gone_after):
        while True:
            try:
                await until_visible(client, lambda: client.jobs.delete(job_id))
                break
            except NotFoundError:
                return
            except InvalidRequestError:
                seen = await _find(client, job_id)
                if seen is None or seen.state in _GOING:
                    break
            await asyncio.sleep(backoff.next())
        while True:
            try:
                await client.jobs.get(job_id)
            except NotFoundError:
                return
            await asyncio.sleep(backoff.next())


async def _remove(
    client: FireworksClient, what: str, delete: Callable[[], Awaitable[None]]
) -> None:
    """Delete something that may be in use for a moment longer, or be gone."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + client.connection.consistency.gone_after
    backoff = Backoff(first=0.1, bound=2.0)
    while True:
        try:
            await delete()
            return
        except NotFoundError:
            return  # as it should be
        except InvalidRequestError as error:
            if loop.time() >= deadline:
                logger.warning("Could not remove the %s of a failed submission: %s", what, error)
                return
        except FireworksError as error:
            logger.warning("Could not remove the %s of a failed submission: %s", what, error)
            return
        await asyncio.sleep(backoff.next())
