"""Putting a job into a state by hand."""

from __future__ import annotations

from dataclasses import replace

from oumi_fireworks.emulator.jobs_state import settle
from oumi_fireworks.emulator.lifecycle import STATES
from oumi_fireworks.emulator.quantities import is_count
from oumi_fireworks.emulator.world import World


def set_job(
    world: World,
    job_id: str,
    state: str | None = None,
    message: str | None = None,
    rows: int | None = None,
) -> None:
    """Put a job into a state, in which it stays; `Emulator.set_job` explains it.

    Not for the loop's thread: it waits until no job has anything left to do.

    Raises:
        KeyError: If there is no such job.
        ValueError: If there is no such state, the message is no string, the rows no number
            from 0 on, or the job's results are already written.
    """
    if not isinstance(state, str | None):
        raise ValueError(f"a state is a string, not {state!r}")
    if not isinstance(message, str | None):
        raise ValueError(f"a message is a string, not {message!r}")
    if rows is not None and not is_count(rows):
        raise ValueError(f"rows must be a whole number from 0 on, got {rows!r}")
    short = state.removeprefix("JOB_STATE_") if state is not None else None
    if short is not None and short not in STATES:
        raise ValueError(f"there is no state {state!r}, use one of {', '.join(sorted(STATES))}")
    world.runner.catch_up()
    with world.store.lock:
        settle(world)
        job = world.store.jobs.get(job_id)
        if job is None:
            raise KeyError(f"there is no job {job_id!r}")
        if rows is not None and job.published:
            raise ValueError(f"the results of job {job_id} are already written")
        elapsed = world.clock.elapsed(job.created)
        course = replace(job.course, forced=short, forced_at=elapsed)
        changed = replace(job, course=course, updated_ns=world.clock.now_ns())
        if message is not None:
            changed = replace(changed, message=message)
        if rows is not None:
            changed = replace(changed, rows_wanted=rows)
        world.store.put_job(changed)
        settle(world)
