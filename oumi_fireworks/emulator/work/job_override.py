"""Putting a job into a state by hand."""

from __future__ import annotations

from dataclasses import replace

from oumi_fireworks.emulator.state.job_timeline import STATES
from oumi_fireworks.emulator.wire.numbers import is_count
from oumi_fireworks.emulator.work.emulator_state import EmulatorState
from oumi_fireworks.emulator.work.job_status import settle


def set_job(
    emulator: EmulatorState,
    job_id: str,
    state: str | None = None,
    message: str | None = None,
    rows: int | None = None,
) -> None:
    """Put a job into a state, in which it stays; `Emulator.set_job` explains it.

    Not for the loop's thread: it waits until no job has anything left to do.

    Raises:
        KeyError: If there is no such job.
        ValueError: If there is no such state, the message is not a string, the rows are not a
            whole, non-negative number, or the job's results are already written.
    """
    if not isinstance(state, str | None):
        raise ValueError(f"a state is a string, not {state!r}")
    if not isinstance(message, str | None):
        raise ValueError(f"a message is a string, not {message!r}")
    if rows is not None and not is_count(rows):
        raise ValueError(f"rows must be a whole, non-negative number, got {rows!r}")
    short = state.removeprefix("JOB_STATE_") if state is not None else None
    if short is not None and short not in STATES:
        raise ValueError(f"there is no state {state!r}, use one of {', '.join(sorted(STATES))}")
    emulator.runner.catch_up()
    with emulator.store.lock:
        settle(emulator)
        job = emulator.store.jobs.get(job_id)
        if job is None:
            raise KeyError(f"there is no job {job_id!r}")
        if rows is not None and job.published:
            raise ValueError(f"the results of job {job_id} are already written")
        elapsed = emulator.clock.elapsed(job.created)
        timeline = replace(job.timeline, forced=short, forced_at=elapsed)
        changed = replace(job, timeline=timeline, updated_ns=emulator.clock.now_ns())
        if message is not None:
            changed = replace(changed, message=message)
        if rows is not None:
            changed = replace(changed, rows_wanted=rows)
        emulator.store.put_job(changed)
        settle(emulator)
