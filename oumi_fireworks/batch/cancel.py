"""Stopping a batch, keeping what it has finished."""

from __future__ import annotations

from dataclasses import replace

from oumi_fireworks.api import FireworksClient, Phase
from oumi_fireworks.batch.snapshot import GONE, Snapshot, take_snapshot
from oumi_fireworks.errors import InvalidRequestError, NotFoundError


async def cancel(client: FireworksClient, batch_id: str) -> Snapshot:
    """Stop the jobs of a batch that are still at work.

    A job that has ended is left alone: where the service has no ``:cancel``, stopping is
    deleting, and that would only lose its record.

    Returns:
        The batch as it is afterwards.

    Raises:
        ValueError: If that cannot be an id.
        NotFoundError: If the account has no such batch.
    """
    before = await take_snapshot(client, batch_id)
    for job in before.jobs:
        if not job.phase.is_terminal:
            await _stop(client, job.id)
    try:
        return await take_snapshot(client, batch_id)
    except NotFoundError:
        # Deleting it has left no trace, as with jobs whose input we did not make.
        jobs = (job if job.phase.is_terminal else replace(job, state=GONE) for job in before.jobs)
        return replace(before, jobs=tuple(jobs))


async def _stop(client: FireworksClient, job_id: str) -> None:
    """Stop a job, which may end or be removed by others in this very moment."""
    try:
        await client.jobs.cancel(job_id)
    except NotFoundError:
        pass
    except InvalidRequestError:
        # What has ended cannot be cancelled; nor can what an earlier request has stopped, whose
        # answer was lost.
        phase = (await client.jobs.get(job_id)).phase
        if not (phase.is_terminal or phase is Phase.CANCELLING):
            raise
