"""Stopping a batch, keeping what it has finished."""

from __future__ import annotations

from dataclasses import replace

from oumi_fireworks.api import FireworksClient, Job, Phase
from oumi_fireworks.batch.absence import until_visible
from oumi_fireworks.batch.snapshot import GONE, BatchView, Snapshot, settled
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
    view = BatchView(client, batch_id)
    before = await settled(view)
    stopped = set()
    for job in before.jobs:
        if not job.phase.is_terminal:
            await _stop(client, job.id)
            view.expect_gone(job.id)
            stopped.add(job.id)
    try:
        after = await settled(view)
    except NotFoundError:
        # Deleting it has left no trace, as with jobs whose input we did not make.
        jobs = (job if job.phase.is_terminal else replace(job, state=GONE) for job in before.jobs)
        return replace(before, jobs=tuple(jobs))
    return replace(
        after,
        jobs=tuple(_stopping(job) if job.id in stopped else job for job in after.jobs),
    )


def _stopping(job: Job) -> Job:
    """Return a job that the service has agreed to stop, which a late read may show at work."""
    if job.phase.is_terminal or job.phase is Phase.CANCELLING:
        return job
    return replace(job, state="JOB_STATE_CANCELLING")


async def _stop(client: FireworksClient, job_id: str) -> None:
    """Stop a job, which may end or be removed by others in this very moment."""
    try:
        await until_visible(client, lambda: client.jobs.cancel(job_id))
    except NotFoundError:
        pass  # gone, and that is believed
    except InvalidRequestError:
        # What has ended cannot be cancelled; nor can what an earlier request has stopped, whose
        # answer was lost.
        try:
            phase = (await until_visible(client, lambda: client.jobs.get(job_id))).phase
        except NotFoundError:
            return
        if not (phase.is_terminal or phase is Phase.CANCELLING):
            raise
