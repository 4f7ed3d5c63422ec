"""What the tests of a run have in common: to advance it, and to see its jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oumi_fireworks.batch import BatchResults, BatchRun, Snapshot
from oumi_fireworks.emulator import Emulator
from tests.api.support import with_client

JOBS = "/batchInferenceJobs$"


def advance(
    emulator: Emulator, run: BatchRun, on_progress: Callable[[Snapshot], None] | None = None
) -> BatchResults:
    with run.lock():
        return with_client(emulator, lambda client: run.advance(client, on_progress))


def ending_as(emulator: Emulator, state: str, **how: Any) -> Callable[[Snapshot], None]:
    """End the first job that is seen in this state, and all others well."""
    ended: set[str] = set()

    def on_progress(snapshot: Snapshot) -> None:
        for job in snapshot.jobs:
            if job.phase.is_terminal:
                continue
            if ended:
                emulator.set_job(job.id, state="JOB_STATE_COMPLETED")
            else:
                emulator.set_job(job.id, state=state, **how)
            ended.add(job.id)

    return on_progress


def finish(emulator: Emulator, run: BatchRun) -> None:
    with run.lock():
        with_client(emulator, run.finish)


def job_ids(emulator: Emulator) -> list[str]:
    """The jobs' ids without the part that is random."""
    return [job.id.partition("-")[2].partition("-")[2] for job in emulator.jobs]
