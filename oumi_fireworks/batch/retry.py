"""Running rows again that a batch left without an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import xxhash

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.creation import CreationRefusedError, provide_job, require_no_continuation
from oumi_fireworks.batch.decide import can_be_continued
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.ids import BatchId, batch_id, stem_of
from oumi_fireworks.batch.outcomes import RowState
from oumi_fireworks.batch.plan import JobSpec, PlannedJob, plan_jobs
from oumi_fireworks.batch.requests import Request, encode_row
from oumi_fireworks.batch.shards import (
    LARGEST_SHARD_BYTES,
    ShardLimits,
    nothing_submitted,
    write_shards,
)
from oumi_fireworks.batch.uploads import holds_requests, provide_inputs
from oumi_fireworks.errors import NoRowsError, ResultsLateError
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
    system_prompt: str | None = None,
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
        system_prompt: What the job that is continued brought to its rows.

    Returns:
        The batch's id and its jobs.
    """
    if may_continue and can_be_continued(results.snapshots[-1], results.index.unusable):
        job = _continuation(results, attempt, system_prompt)
        return job.job_id, (job,)
    stem = stem_of(results.batch_id)
    unanswered = (row for row in rows if results.index.state(row.index) is not RowState.ANSWERED)
    shards = await write_shards(unanswered, folder, limits)
    again = batch_id(stem, len(shards), attempt)
    return again, plan_jobs(again, shards)


def _continuation(results: BatchResults, attempt: int, system_prompt: str | None) -> PlannedJob:
    counts = results.index.counts
    return PlannedJob(
        batch_id(stem_of(results.batch_id), 1, attempt),
        counts.failed + counts.missing,
        continues=results.snapshots[-1].jobs[0].id,
        system_prompt=system_prompt,
    )


async def retry_rows(
    client: FireworksClient,
    results: BatchResults,
    rows: Iterable[Request],
    spec: JobSpec,
    *,
    attempt: int,
    folder: Path,
    concurrency: int,
    hoist: bool,
) -> str:
    """Submit the rows that have no answer yet, as a further batch. See :func:`plan_retry`.

    They are split as the batch was, not as options say: the same call leads to the same jobs.
    ``hoist`` tells whether a system message that rows share is sent once. An expired batch is
    continued, unless its rows were sent with other parameters than the ones given now: a
    continuation would ignore these.

    Returns:
        The further batch's id.

    Raises:
        NoRowsError: If every row has an answer.
        ResultsLateError: If answers that were paid for are not here. Nothing was submitted.
        BatchError: If these rows were run again before, with other parameters.
        FireworksError: What stopped it.
    """
    if results.shortfall is not None:
        raise ResultsLateError(
            f"Nothing is run again while answers are missing that are paid for: "
            f"{results.shortfall}. Try again later."
        )
    if results.index.counts.is_complete:
        raise NoRowsError(f"Every row of batch {results.batch_id} has an answer.")
    limits = replace(limits_like(results.batch_id, len(results.index)), hoist=hoist)

    whole = xxhash.xxh3_128()

    def noted() -> Iterator[Request]:
        for request in rows:
            whole.update(encode_row(request))
            yield request

    with nothing_submitted():
        again, jobs = await plan_retry(
            results, noted(), attempt=attempt, folder=folder, limits=limits, may_continue=False
        )
    last = results.snapshots[-1]
    if can_be_continued(last, results.index.unusable):
        before = last.jobs[0]
        if await holds_requests(client, before.input_dataset, whole.hexdigest()):
            job = _continuation(results, attempt, before.system_prompt or None)
            try:
                await provide_job(client, job, spec, may_exist=True)
                return job.job_id
            except CreationRefusedError as refusal:
                logger.warning("Batch %s cannot be continued: %s", results.batch_id, refusal)
        else:
            logger.info(
                "Batch %s was sent with other parameters: its open rows are sent anew.",
                results.batch_id,
            )
            await require_no_continuation(client, jobs[0], spec)
    try:
        # What an earlier call of the same has made is found, and is not ours to remove.
        await provide_inputs(client, jobs, concurrency)
        for job in jobs:
            await provide_job(client, job, spec, may_exist=True)
    except CreationRefusedError as refusal:
        raise refusal.reason from None
    return again


def limits_like(batch_id: str, rows: int) -> ShardLimits:
    """Return how to split rows of a batch so that it depends on nothing but the batch."""
    shards = BatchId.parse(batch_id).shards
    return ShardLimits(
        max_bytes=LARGEST_SHARD_BYTES,
        max_rows=-(-rows // shards) if shards > 1 else None,
        by_kind=True,
    )
