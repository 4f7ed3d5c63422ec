"""Running rows again that a batch left without an answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.ids import batch_id, stem_of
from oumi_fireworks.batch.outcomes import RowState
from oumi_fireworks.batch.plan import JobSpec, PlannedJob, can_be_continued, plan_jobs
from oumi_fireworks.batch.requests import Request
from oumi_fireworks.batch.shards import ShardLimits, nothing_submitted, write_shards
from oumi_fireworks.batch.submit import REFUSALS, submit
from oumi_fireworks.errors import NoRowsError
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)


async def plan_retry(
    results: BatchResults,
    rows: Iterable[Request],
    *,
    attempt: int,
    folder: Path,
    limits: ShardLimits,
    may_continue: bool = True,
) -> tuple[str, tuple[PlannedJob, ...]]:
    """Plan a batch of the rows that have no answer yet.

    Its id follows from the first batch's id and the number of the attempt, so that planning it a
    second time, on whichever machine, leads to the same jobs and not to further ones. Its rows
    keep the ids that they had.

    Args:
        results: What there is so far.
        rows: All rows of the batch.
        attempt: 1 for the first repetition, and so on.
        folder: Where to write the requests.
        limits: How to split them.
        may_continue: Whether a continuation is allowed (see :func:`can_be_continued`).

    Returns:
        The batch's id and its jobs.
    """
    stem = stem_of(results.batch_id)
    tally, last = results.index.counts, results.snapshots[-1]
    if may_continue and can_be_continued(last, tally.failed):
        job_id = batch_id(stem, 1, attempt)
        return job_id, (PlannedJob(job_id, tally.missing, continues=last.jobs[0].id),)
    unanswered = (row for row in rows if results.index.state(row.index) is not RowState.ANSWERED)
    shards = await write_shards(unanswered, folder, limits)
    again = batch_id(stem, len(shards), attempt)
    return again, plan_jobs(again, shards)


async def retry_rows(
    client: FireworksClient,
    results: BatchResults,
    rows: Iterable[Request],
    spec: JobSpec,
    *,
    attempt: int,
    folder: Path,
    limits: ShardLimits,
    concurrency: int,
) -> str:
    """Submit the rows that have no answer yet, as a further batch. See :func:`plan_retry`.

    Returns:
        The further batch's id.

    Raises:
        NoRowsError: If every row has an answer.
        FireworksError: What stopped it.
    """
    if results.index.counts.is_complete:
        raise NoRowsError(f"Every row of batch {results.batch_id} has an answer.")

    async def go(*, may_continue: bool) -> str:
        with nothing_submitted():
            again, jobs = await plan_retry(
                results,
                rows,
                attempt=attempt,
                folder=folder,
                limits=limits,
                may_continue=may_continue,
            )
        try:
            # Its id may be in use by an earlier call of the same: what is there is not ours to
            # remove.
            await submit(client, jobs, spec, concurrency=concurrency, keep_on_failure=True)
        except REFUSALS as refusal:
            if jobs[0].continues is None:
                raise
            logger.warning("Batch %s cannot be continued: %s", results.batch_id, refusal)
            return await go(may_continue=False)  # as a job of its own
        return again

    return await go(may_continue=True)
