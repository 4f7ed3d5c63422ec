"""Running rows again that a batch left without an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import xxhash

from oumi_fireworks.accept.again import Again
from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.creation import CreationRefusedError, provide_job, require_no_continuation
from oumi_fireworks.batch.decide import ALL_OPEN, Rerun, can_be_continued
from oumi_fireworks.batch.fetch import BatchResults
from oumi_fireworks.batch.ids import BatchId, batch_id, stem_of
from oumi_fireworks.batch.outcomes import Rejected, RowState
from oumi_fireworks.batch.plan import JobSpec, PlannedJob, plan_jobs
from oumi_fireworks.batch.requests import Request, encode_row
from oumi_fireworks.batch.results import ResultIndex
from oumi_fireworks.batch.shards import (
    LARGEST_SHARD_BYTES,
    ShardLimits,
    nothing_submitted,
    write_shards,
)
from oumi_fireworks.batch.submit import require_within
from oumi_fireworks.batch.uploads import holds_requests, provide_inputs
from oumi_fireworks.errors import NoRowsError, ResultsLateError
from oumi_fireworks.grammar import ended, form, number
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import Budget, Charge, Usage

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
    rerun: Rerun = ALL_OPEN,
    again: Again | None = None,
) -> tuple[str, tuple[PlannedJob, ...]]:
    """Plan a batch of the rows that have no answer yet.

    Its id follows from the first batch's id and the number of the attempt, so that planning it a
    second time, on whichever machine, leads to the same jobs and not to further ones. Its rows
    keep the ids that they had.

    Args:
        results: What there is so far.
        rows: The rows of the batch; those with an answer may be left out.
        attempt: 1 for the first repetition, and so on.
        folder: Where to write the requests.
        limits: How to split them.
        may_continue: Whether a continuation is allowed (see :func:`can_be_continued`).
        system_prompt: What the job that is continued brought to its rows.
        rerun: Which of them.
        again: How rejected rows are asked for again; None does not run them.

    Returns:
        The batch's id and its jobs.
    """
    if may_continue and _can_be_continued(results, rerun, again):
        job = _continuation(results, attempt, system_prompt)
        return job.job_id, (job,)
    stem = stem_of(results.batch_id)
    shards = await write_shards(open_requests(results, rows, rerun, again), folder, limits)
    further = batch_id(stem, len(shards), attempt)
    return further, plan_jobs(further, shards)


def rejected_to_run(index: ResultIndex, again: Again | None) -> int:
    """Count the rejected rows that a further attempt may ask for again."""
    return 0 if again is None else sum(1 for _ in index.rejected(again.most))


def _can_be_continued(results: BatchResults, rerun: Rerun, again: Again | None) -> bool:
    """Tell whether a continuation would run all that is to be run, and as it is to be run.

    To the service a rejected row is an answered one.
    """
    rejected = rejected_to_run(results.index, again) if rerun.rejected else 0
    unusable = results.index.unusable + rejected
    return rerun.unanswered and can_be_continued(results.snapshots[-1], unusable)


def needed_rows(
    results: BatchResults, again: Again | None, budget: Budget | None
) -> Callable[[int], bool]:
    """Return which rows :func:`retry_rows` needs, by their positions.

    All that were sent, where the batch may be continued: they show whether it was sent as it would
    be now. A row that another one was sent for is not run by itself.
    """
    index = results.index
    if _may_be_continued(results, again, budget):
        return index.was_sent
    return lambda row: index.was_sent(row) and index.state(row) is not RowState.ANSWERED


def _may_be_continued(results: BatchResults, again: Again | None, budget: Budget | None) -> bool:
    return budget is None and _can_be_continued(results, ALL_OPEN, again)


def open_requests(
    results: BatchResults, rows: Iterable[Request], rerun: Rerun, again: Again | None
) -> Iterator[Request]:
    """Yield the requests of a further attempt; those of rejected rows are not as they were."""
    index = results.index
    most = again.most if again is not None and rerun.rejected else 0
    rejected = index.outcomes(index.rejected(most))
    for row in rows:
        state = index.state(row.index)
        if state is RowState.REJECTED:
            if again is None or index.rejections.times(row.index) > most:
                continue
            outcome = next(rejected)
            assert isinstance(outcome, Rejected)
            assert outcome.index == row.index
            body = again.request(row.body, outcome.completion, outcome.rejection, outcome.times)
            if body is not None:
                yield replace(row, body=body)
        elif state is not RowState.ANSWERED and rerun.unanswered:
            yield row


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
    again: Again | None = None,
    budget: Budget | None = None,
    spent: Charge | None = None,
) -> tuple[str, tuple[PlannedJob, ...]]:
    """Submit the rows that have no answer yet, as a further batch. See :func:`plan_retry`.

    They are split as the batch was, not as options say: the same call leads to the same jobs.
    ``hoist`` tells whether a system message that rows share is sent once. An expired batch is
    continued, unless its rows were sent with other parameters than the ones given now: a
    continuation would ignore these. A rejected row is run as ``again`` says, and not without it.
    ``rows`` are those of :func:`needed_rows`, in their order; answered ones do no harm.
    Under a budget nothing is continued. ``spent`` is what was spent of it; None takes what the
    service counts.

    Returns:
        The further batch's id, and its jobs.

    Raises:
        NoRowsError: If there is no row to run: each has an answer, or one that was rejected and is
            not asked for again.
        ResultsLateError: If answers that were paid for are not here. Nothing was submitted.
        RunMismatchError: If these rows were run again before, with other parameters.
        OverBudgetError: If they, with what was spent, may cost more than the budget. Nothing was
            submitted.
        FireworksError: What stopped it.
    """
    if results.shortfall is not None:
        raise ResultsLateError(
            f"Nothing is run again while answers are missing that are paid for: "
            f"{ended(results.shortfall)} Try again later."
        )
    _require_open_rows(results, again)
    limits = replace(limits_like(results.batch_id, len(results.index)), hoist=hoist)

    may_continue = _may_be_continued(results, again, budget)
    whole = xxhash.xxh3_128()

    def noted() -> Iterator[Request]:
        for request in rows:
            whole.update(encode_row(request))
            yield request

    with nothing_submitted():
        further, jobs = await plan_retry(
            results,
            noted() if may_continue else rows,
            attempt=attempt,
            folder=folder,
            limits=limits,
            may_continue=False,
            again=again,
        )
    used = sum((each.used for each in results.snapshots), Usage())
    require_within(budget, jobs, spent or Charge(used))
    if may_continue:
        before = results.snapshots[-1].jobs[0]
        if await holds_requests(client, before.input_dataset, whole.hexdigest()):
            job = _continuation(results, attempt, before.system_prompt or None)
            try:
                await provide_job(client, job, spec, may_exist=True)
                return job.job_id, (job,)
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
    return further, jobs


def _require_open_rows(results: BatchResults, again: Again | None) -> None:
    counts = results.index.counts
    if counts.failed or counts.missing or rejected_to_run(results.index, again):
        return
    if not counts.rejected:
        raise NoRowsError(f"Every row of batch {results.batch_id} has an answer.")
    if again is None:
        advice = "The option on_reject says how they are asked for again, with other parameters"
    else:
        advice = "They were asked for again as often as on_reject says"
    raise NoRowsError(
        f"No row of batch {results.batch_id} is to be run: {number(counts.rejected, 'row')} "
        f"{form(counts.rejected, 'was', 'were')} rejected, and all others have an answer. {advice}."
    )


def limits_like(batch_id: str, rows: int) -> ShardLimits:
    """Return how to split rows of a batch so that it depends on nothing but the batch."""
    shards = BatchId.parse(batch_id).shards
    return ShardLimits(
        max_bytes=LARGEST_SHARD_BYTES,
        max_rows=-(-rows // shards) if shards > 1 else None,
        by_kind=True,
    )
