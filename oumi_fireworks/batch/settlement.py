"""What an attempt has cost, by the usage in its result files."""

from __future__ import annotations

from pathlib import Path

from oumi_fireworks.api import Job, Phase
from oumi_fireworks.api.lenient_json import lenient_loads
from oumi_fireworks.batch.collect import files_of
from oumi_fireworks.batch.manifest import Attempt
from oumi_fireworks.batch.outcomes import Answer
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.results import readable_lines
from oumi_fireworks.batch.snapshot import GONE, Snapshot
from oumi_fireworks.batch.withdrawal import has_begun
from oumi_fireworks.errors import RunMismatchError
from oumi_fireworks.money import Charge, Usage

_NOT_BILLED = range(400, 500)
"""Codes of rows that the service has refused: nothing was generated."""


def most_of(attempt: Attempt) -> Charge:
    """Return the most that an attempt can cost.

    Raises:
        RunMismatchError: If it was planned by an earlier version, which did not write that down.
    """
    total = Usage()
    for job in attempt.jobs:
        if job.refusal:
            continue
        if job.most is None:
            raise RunMismatchError(
                f"Batch {attempt.batch_id} was begun by an earlier version, which has not noted "
                "what its rows can cost at the most; so max_cost cannot be held for this run. "
                "Finish it without max_cost."
            )
        total += job.most
    return Charge(unknown=total)


def charge_of(attempt: Attempt, ended: Snapshot, folder: Path, rows: int) -> Charge:
    """Return what an attempt has cost that has ended, and whose results are here.

    A row counts with the usage that its answer states, once. A row that may have run and states
    none counts with the most that it can take, unless the service has refused it.

    Args:
        attempt: The attempt.
        ended: How it has ended.
        folder: Where its results are.
        rows: Rows of the whole run.

    Raises:
        RunMismatchError: If it was planned by an earlier version.
    """
    most_of(attempt)
    jobs = {job.id: job for job in ended.jobs}
    seen = bytearray(rows)
    used, unknown = Usage(), Usage()
    for planned in attempt.jobs:
        if planned.refusal:
            continue
        stated, settled = _stated(folder, planned, seen)
        used += stated
        unknown += _unstated(planned, jobs.get(planned.job_id), settled)
    return Charge(used, unknown)


def _stated(folder: Path, planned: PlannedJob, seen: bytearray) -> tuple[Usage, int]:
    """Return the usage that a job's results state, and for how many rows nothing is unknown."""
    prompt = completion = cached = settled = 0
    for path in files_of(folder, planned.job_id):
        for line, outcome in readable_lines(path, len(seen)):
            if seen[outcome.index]:
                continue
            if isinstance(outcome, Answer):
                usage = Usage.parse(outcome.completion.get("usage"))
            else:
                usage = _usage_of_failure(line)
                if usage is None and _is_refusal(outcome.code):
                    usage = Usage()
            if usage is None:
                continue
            seen[outcome.index] = True
            settled += 1
            prompt += usage.prompt
            completion += usage.completion
            cached += usage.cached
    return Usage(prompt, completion, cached), settled


def _usage_of_failure(line: bytes) -> Usage | None:
    response = lenient_loads(line).get("response")
    return Usage.parse(response.get("usage")) if isinstance(response, dict) else None


def _is_refusal(code: str | None) -> bool:
    return code is not None and code.isdecimal() and int(code) in _NOT_BILLED


def _unstated(planned: PlannedJob, job: Job | None, settled: int) -> Usage:
    """Return the most that the rows of a job can have cost of which nothing is stated."""
    assert planned.most is not None
    rows = max(0, _rows_run(planned, job) - settled)
    return planned.most.smaller(planned.largest.times(rows))


def _rows_run(planned: PlannedJob, job: Job | None) -> int:
    """Return how many rows of a job have run at the most."""
    if job is None or job.state == GONE:
        return planned.rows
    if job.phase is Phase.FAILED and not has_begun(job):
        return 0
    if job.phase in (Phase.EXPIRED, Phase.CANCELLED):
        return min(planned.rows, job.progress.processed)
    return planned.rows
