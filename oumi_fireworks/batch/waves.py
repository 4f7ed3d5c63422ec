"""Which jobs of a pass a budget allows to begin together: pure functions.

Without a budget a pass over the open rows is one attempt. Under one it is as many as it takes: each
begins when the one before has ended and what it has cost is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from oumi_fireworks.batch.ids import BatchId, batch_id
from oumi_fireworks.batch.manifest import Attempt, Manifest
from oumi_fireworks.batch.plan import PlannedJob, in_order
from oumi_fireworks.batch.settlement import most_of
from oumi_fireworks.money import Budget, Charge, Usage


def charges(attempts: Iterable[Attempt]) -> list[Charge]:
    """Return what attempts have cost, and the most that those can cost that are not settled.

    Raises:
        RunMismatchError: If one was planned by an earlier version, which has not noted that.
    """
    return [each.charge or most_of(each) for each in attempts]


def shards_of(jobs: Sequence[PlannedJob]) -> tuple[PlannedJob, ...]:
    """Return jobs that know their place among the shards, and have no ids yet."""
    return tuple(replace(job, job_id="", shard=shard) for shard, job in enumerate(jobs))


def next_wave(
    pending: Sequence[PlannedJob],
    before: Sequence[Attempt],
    budget: Budget | None,
    stem: str,
    wave_of: int | None = None,
    *,
    whole: bool = False,
) -> tuple[Attempt | None, tuple[PlannedJob, ...]]:
    """Return the attempt that may begin now, None where nothing fits, and what still waits.

    Args:
        pending: Jobs that wait, as :func:`shards_of` returns them.
        before: The attempts so far.
        budget: What must not be exceeded; None allows everything.
        stem: Of the batch's ids.
        wave_of: The first attempt of this pass, by its place; None: it begins with this one.
        whole: Whether all may begin or none: machines that share a batch by its key would cut
            different waves under different budgets, and pay twice.
    """
    if budget is None:
        chosen = set(range(len(pending)))
    else:
        candidates = [job.most or Usage() for job in pending]
        chosen = set(budget.choose(charges(before), candidates))
    if not chosen or (whole and len(chosen) < len(pending)):
        return None, tuple(pending)
    number = len(before)
    new = batch_id(stem, len(chosen), number)
    begun = [job for place, job in enumerate(pending) if place in chosen]
    waiting = [job for place, job in enumerate(pending) if place not in chosen]
    ids = BatchId.parse(new).job_ids
    jobs = tuple(replace(job, job_id=name) for name, job in zip(ids, in_order(begun), strict=True))
    first = number if wave_of is None else wave_of
    return Attempt(new, jobs, wave_of=first), tuple(waiting)


def with_wave(manifest: Manifest, wave: Attempt, pending: tuple[PlannedJob, ...]) -> Manifest:
    """Return a run with one more wave, and what waits for the next one."""
    return replace(manifest.with_attempt(wave), pending=pending)
