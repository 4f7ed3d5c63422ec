"""Submitting a batch, exactly once.

Every id is fixed before the first call, and every step first finds out what is there already. So
a step may be repeated after any failure, in this process or in a later one: a dataset, an upload
or a job whose answer was lost is found, not made a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.claim import claim
from oumi_fireworks.batch.creation import CreationRefusedError, exists, provide_job
from oumi_fireworks.batch.ids import batch_id, new_batch_stem
from oumi_fireworks.batch.plan import JobSpec, PlannedJob, Split, plan_jobs
from oumi_fireworks.batch.repeats import Dedupe
from oumi_fireworks.batch.requests import Request
from oumi_fireworks.batch.shards import Shard, ShardLimits, nothing_submitted, write_shards
from oumi_fireworks.batch.together import all_of
from oumi_fireworks.batch.unsent import UnsentRows
from oumi_fireworks.batch.uploads import provide_inputs
from oumi_fireworks.batch.withdrawal import withdraw
from oumi_fireworks.errors import NoRowsError, OverBudgetError, PartlySubmittedError
from oumi_fireworks.grammar import ended
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import Budget, Charge, Usage

logger = logger_for(__name__)


def plan_first(
    shards: Sequence[Shard], *, has_rows: bool = False
) -> tuple[str, tuple[PlannedJob, ...]]:
    """Return the random id of a new batch for these shards, and its jobs.

    Args:
        shards: The files of its rows.
        has_rows: Whether there are rows also where none is to be sent.

    Raises:
        NoRowsError: If there are none.
    """
    if not (shards or has_rows):
        raise NoRowsError("There are no conversations to run. Nothing was submitted.")
    new = batch_id(new_batch_stem(), len(shards) or 1)
    return new, plan_jobs(new, shards) if shards else ()


def require_within(
    budget: Budget | None, jobs: Sequence[PlannedJob], before: Charge | None = None
) -> None:
    """Refuse jobs that are created together and may cost more than they must.

    Args:
        budget: What they must not cost more than; None sets no bound.
        jobs: The jobs.
        before: What was spent before under the same budget.

    Raises:
        OverBudgetError: If they may. Nothing was submitted.
    """
    if budget is None:
        return
    most = sum((job.most or Usage() for job in jobs), Usage())
    cost = budget.cost(before or Charge()) + budget.at_most(most)
    if cost > budget.most:
        raise OverBudgetError(
            f"All of it may cost ${cost:f}, and max_cost is ${budget.most:f}: as many tokens as "
            "the prompts have bytes, and as max_new_tokens allows for each row. Nothing was "
            "submitted. A run (`batch run`, mode: batch) begins as many rows at a time as fit, and "
            "goes on as their true cost is known; or raise max_cost, or lower max_new_tokens."
        )


async def submit_new(
    client: FireworksClient,
    rows: Iterable[Request],
    spec: JobSpec,
    *,
    folder: Path,
    limits: ShardLimits,
    concurrency: int,
    key: str | None = None,
    budget: Budget | None = None,
) -> str:
    """Submit a new batch, or nothing.

    All inputs are in place before the first job is made, so that an upload that fails costs
    nothing.

    With a key the batch is submitted once, however often and wherever this is called: each call
    makes what is not there yet, and returns the same id. So what a call has made when it fails
    stays, for the next one to go on with.

    Args:
        client: The account.
        rows: The rows, in their order.
        spec: What the jobs have in common.
        folder: Where to write the requests until they are uploaded.
        limits: How to split them.
        concurrency: Uploads at once.
        key: What the batch's id is derived from; None makes a new batch.
        budget: What it must not cost more than, all of it together; None sets no bound.

    Returns:
        The batch's id.

    Raises:
        NoRowsError: If there are no rows.
        RowError: If a row cannot be sent.
        KeyTakenError: If the key stands for other rows.
        OverBudgetError: If it may cost more than it must. Nothing was submitted.
        PartlySubmittedError: If it failed when some jobs had begun already: those stay.
        FireworksError: What stopped it. Without a key nothing is left on the account.
    """
    if key is not None:
        under_key, _ = await submit_under_key(
            client,
            rows,
            spec,
            key,
            folder=folder,
            limits=limits,
            concurrency=concurrency,
            budget=budget,
        )
        return under_key
    with nothing_submitted():
        shards = await write_shards(rows, folder, limits)
    new, jobs = plan_first(shards)
    require_within(budget, jobs)
    asked_for: set[str] = set()
    try:
        await provide_inputs(client, jobs, concurrency)
        for job in jobs:
            asked_for.add(job.job_id)
            await provide_job(client, job, spec)
    except CreationRefusedError as refusal:
        asked_for.discard(refusal.job.job_id)
        _require_nothing_left(await _withdraw(client, jobs, asked_for), refusal.reason)
        raise refusal.reason from None
    except Exception as error:
        _require_nothing_left(await _withdraw(client, jobs, asked_for), error)
        raise
    except BaseException:
        if asked_for:
            logger.warning("Looking for what was made, to remove it: up to some minutes.")
        for job_id in await _withdraw(client, jobs, asked_for):
            logger.warning("%s", _kept(job_id))
        raise
    return new


async def submit_under_key(
    client: FireworksClient,
    rows: Iterable[Request],
    spec: JobSpec,
    key: str,
    *,
    folder: Path,
    limits: ShardLimits,
    concurrency: int,
    budget: Budget | None = None,
    dedupe: Dedupe = Dedupe.OFF,
) -> tuple[str, tuple[PlannedJob, ...]]:
    """Submit the batch of a key, or find it. See :func:`submit_new`, also for what is raised.

    ``dedupe`` says which rows are left out that ask what an earlier one asks, where the key's first
    user has not decided that.

    Returns:
        The batch's id, and its jobs.
    """

    async def spool(split: Split) -> list[Shard]:
        with nothing_submitted():
            unsent = UnsentRows(spec.model, split.dedupe, None)
            sent = (row for row in rows if not unsent.has(row))
            shards = await write_shards(sent, folder, split.limits)
            require_within(budget, plan_first(shards)[1])
            return shards

    claimed = await claim(client, key, spool, Split(limits, dedupe))
    jobs = plan_jobs(claimed.batch_id, claimed.shards)
    try:
        await provide_batch(client, jobs, spec, concurrency)
    except CreationRefusedError as refusal:
        raise refusal.reason from None
    return claimed.batch_id, jobs


async def provide_batch(
    client: FireworksClient, jobs: Sequence[PlannedJob], spec: JobSpec, concurrency: int
) -> None:
    """Create the jobs that do not exist yet, and their inputs. Idempotent, also across machines.

    Nothing is uploaded for a job that is there, whose input may be gone by now.

    Args:
        client: The account.
        jobs: All jobs of an attempt whose ids others may use, too.
        spec: What they have in common.
        concurrency: Uploads, and looks, at once.

    Raises:
        CreationRefusedError: If a job was refused. What was made stays.
        RunMismatchError: If a job of such an id exists and is another one.
        FireworksError: What stopped it. What was made stays.
    """
    seen = await all_of((exists(client, job, spec) for job in jobs), at_once=concurrency)
    absent = [job for job, is_there in zip(jobs, seen, strict=True) if not is_there]
    await provide_inputs(client, absent, concurrency)
    for job in absent:
        await provide_job(client, job, spec, may_exist=True)


async def _withdraw(
    client: FireworksClient, jobs: Sequence[PlannedJob], asked_for: set[str]
) -> list[str]:
    """Remove a submission, also when this task is being cancelled."""
    removal = asyncio.ensure_future(withdraw(client, jobs, asked_for))
    while True:
        try:
            return await asyncio.shield(removal)
        except asyncio.CancelledError:
            if removal.cancelled():
                raise
            logger.warning("Still removing what was made; that takes up to some minutes.")


def _require_nothing_left(kept: Sequence[str], error: Exception) -> None:
    if kept:
        raise PartlySubmittedError(
            f"{ended(error)} {' '.join(map(_kept, kept))}", tuple(kept)
        ) from error


def _kept(job_id: str) -> str:
    return (
        f"Job {job_id} has begun and is kept, since what it does is paid for: `oumi-fireworks "
        f"batch results {job_id}` fetches it, `batch cancel {job_id}` stops it."
    )
