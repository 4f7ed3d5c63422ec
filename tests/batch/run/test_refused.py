"""A run that is refused, as a whole or in part, at the start or on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from oumi_fireworks.batch import BatchRun, JobSpec, RunOptions, ShardLimits
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import InvalidRequestError, NoRowsError, RowError, ServerError
from tests.batch.run.support import JOBS, advance, job_ids
from tests.batch.support import EAGER, a_run, require_own_answers, source


def test_nothing_to_run(emulator: Emulator, folder: Path) -> None:
    with pytest.raises(NoRowsError, match="Nothing was submitted"):
        advance(emulator, a_run(folder, source(0)))
    assert emulator.requests == []
    assert not folder.exists()


def test_a_row_too_large_uploads_nothing(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(3), limits=ShardLimits(max_bytes=20))
    with pytest.raises(RowError, match="Conversation 0"):
        advance(emulator, run)
    assert emulator.requests == []
    assert not folder.exists()


def test_a_model_that_does_not_exist_leaves_nothing(emulator: Emulator, folder: Path) -> None:
    spec = JobSpec("accounts/fireworks/models/does-not-exist")
    options = RunOptions(limits=ShardLimits(max_rows=2), wait_policy=EAGER)
    with pytest.raises(Exception, match=r"does-not-exist.*not found"):
        advance(emulator, BatchRun(folder, source(3), spec, {}, options))
    assert emulator.jobs == []
    assert all(dataset.deleted for dataset in emulator.datasets)
    assert not folder.exists()


def test_rows_of_a_job_that_is_refused_beside_others_are_run_again(
    emulator: Emulator, folder: Path
) -> None:
    emulator.faults.add(Fault("POST", JOBS, status=400, after=1))
    results = advance(emulator, a_run(folder, source(3)))
    require_own_answers(results.index, 3)
    assert job_ids(emulator) == ["x2-0", "r1"]
    assert not [dataset.id for dataset in emulator.datasets if dataset.deleted]


def test_a_job_that_exists_is_kept_when_the_others_are_refused_for_good(
    emulator: Emulator, folder: Path
) -> None:
    emulator.faults.add(Fault("POST", JOBS, status=400, after=1, times=None))
    results = advance(emulator, a_run(folder, source(3)))
    assert results.index.counts.rows == {"answered": 2, "rejected": 0, "failed": 0, "missing": 1}
    assert [job.state for job in emulator.jobs] == ["JOB_STATE_COMPLETED"]
    assert "a fault was asked for" in str(results.snapshots[-1].error)


def test_a_refusal_after_a_crash_keeps_what_earlier_jobs_have_finished(
    emulator: Emulator, folder: Path
) -> None:
    emulator.faults.add(Fault("POST", JOBS, status=503, after=1, times=None))
    with pytest.raises(ServerError):
        advance(emulator, a_run(folder, source(3)))
    emulator.clock.advance(60)
    emulator.faults.clear()
    # Also the one that exists is refused now, before anybody has looked whether it does.
    emulator.faults.add(Fault("POST", JOBS, status=400, times=None))
    results = advance(emulator, a_run(folder, source(3)))
    [job] = emulator.jobs
    assert job.state == "JOB_STATE_COMPLETED"
    assert results.index.counts.rows == {"answered": 2, "rejected": 0, "failed": 0, "missing": 1}
    assert not [d.id for d in emulator.datasets if d.deleted and d.id.startswith(job.id)]


def test_a_retry_of_which_a_part_is_refused_keeps_the_other_part(
    emulator: Emulator, folder: Path
) -> None:
    emulator.faults.add(Fault("POST", JOBS, status=400, after=3, times=None))
    rows = source(4, dict.fromkeys(range(4), "[[flaky]]"))
    results = advance(emulator, a_run(folder, rows))
    assert job_ids(emulator) == ["x2-0", "x2-1", "r1-x2-0"]
    assert results.index.counts.rows == {"answered": 2, "rejected": 0, "failed": 2, "missing": 0}
    assert not [job.id for job in emulator.jobs if job.state != "JOB_STATE_COMPLETED"]


def test_what_is_refused_on_the_way_to_a_retry_does_not_drop_it(
    emulator: Emulator, folder: Path
) -> None:
    rows = source(2, {0: "[[flaky]]"})
    emulator.faults.add(Fault("POST", "r1-in:upload$", status=400, times=None))
    with pytest.raises(InvalidRequestError):
        advance(emulator, a_run(folder, rows))
    emulator.faults.clear()
    require_own_answers(advance(emulator, a_run(folder, rows, row_retries=1)).index, 2)
    assert job_ids(emulator) == ["", "r1"]
