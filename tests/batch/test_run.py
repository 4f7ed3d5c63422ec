"""A run with a memory: from rows to results, from wherever it stands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import FireworksClient, Phase
from oumi_fireworks.batch import (
    Answer,
    BatchResults,
    BatchRun,
    Failure,
    FileMark,
    JobSpec,
    Missing,
    Request,
    RunOptions,
    ShardLimits,
    Snapshot,
)
from oumi_fireworks.batch.collect import local_name
from oumi_fireworks.batch.folder import MARKER
from oumi_fireworks.batch.run_input import RowSource
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    AuthenticationError,
    ForeignFolderError,
    InvalidRequestError,
    ManifestError,
    NoRowsError,
    RowError,
    RunLockedError,
    RunMismatchError,
    ServerError,
    SpoolError,
)
from tests.api.support import with_client
from tests.batch.support import (
    EAGER,
    SPEC,
    a_run,
    prepare,
    quick_emulator,
    remove_job,
    require_own_answers,
    source,
    still_emulator,
)

JOBS = "/batchInferenceJobs$"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose jobs take a few milliseconds."""
    with quick_emulator() as emulator:
        yield emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl.run"


def advance(
    emulator: Emulator, run: BatchRun, on_progress: Callable[[Snapshot], None] | None = None
) -> BatchResults:
    with run.lock():
        return with_client(emulator, lambda client: run.advance(client, on_progress))


def finish(emulator: Emulator, run: BatchRun) -> None:
    with run.lock():
        with_client(emulator, run.finish)


def job_ids(emulator: Emulator) -> list[str]:
    """The jobs' ids without the part that is random."""
    return [job.id.partition("-")[2].partition("-")[2] for job in emulator.jobs]


def test_a_run_answers_every_row_and_leaves_its_results(emulator: Emulator, folder: Path) -> None:
    seen: list[Snapshot] = []
    run = a_run(folder, source(5))
    results = advance(emulator, run, seen.append)
    require_own_answers(results.index, 5)
    assert results.index.counts.is_complete
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2"]
    assert run.batch_id == results.batch_id
    assert seen[-1].phase is Phase.COMPLETED
    assert sorted(path.name for path in folder.iterdir()) == [
        ".oumi-fireworks",
        "lock",
        "results",
        "run.json",
    ]
    assert len(list(folder.glob("results/0/*/*.jsonl"))) == 6


def test_a_finished_run_leaves_nothing_here_and_its_datasets_there(
    emulator: Emulator, folder: Path
) -> None:
    run = a_run(folder, source(3))
    advance(emulator, run)
    finish(emulator, run)
    assert not folder.exists()
    assert len([dataset for dataset in emulator.datasets if not dataset.deleted]) == 4


def test_a_finished_run_removes_its_datasets_if_that_is_asked_for(
    emulator: Emulator, folder: Path
) -> None:
    run = a_run(folder, source(3, {0: "[[flaky]]"}), delete_datasets=True)
    advance(emulator, run)
    assert not [dataset for dataset in emulator.datasets if dataset.deleted]
    finish(emulator, run)
    assert len(emulator.datasets) == 6
    assert all(dataset.deleted for dataset in emulator.datasets)


def test_rows_that_failed_are_run_again_and_merged(emulator: Emulator, folder: Path) -> None:
    results = advance(emulator, a_run(folder, source(5, {1: "[[flaky]]", 4: "[[flaky]]"})))
    require_own_answers(results.index, 5)
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2", "r1"]
    assert emulator.jobs[-1].rows == 2
    assert [snapshot.batch_id for snapshot in results.snapshots] == [
        results.batch_id,
        f"{results.batch_id.removesuffix('-x3')}-r1",
    ]


@pytest.mark.parametrize(("retries", "answered"), [(0, False), (1, False), (2, True), (5, True)])
def test_rows_are_run_again_as_often_as_the_option_allows(
    emulator: Emulator, folder: Path, retries: int, answered: bool
) -> None:
    rows = source(3, {2: "[[flaky 2]]"})
    results = advance(emulator, a_run(folder, rows, row_retries=retries))
    assert results.index.counts.is_complete is answered
    assert job_ids(emulator)[2:] == [f"r{n}" for n in range(1, min(retries, 2) + 1)]


def test_a_row_that_is_in_no_file_is_run_again_and_told_as_missing(
    emulator: Emulator, folder: Path
) -> None:
    results = advance(emulator, a_run(folder, source(2, {1: "[[drop]]"})))
    assert job_ids(emulator) == ["", "r1"]
    [outcome] = results.index.outcomes([1])
    assert isinstance(outcome, Missing)
    assert "no result from" in results.message(outcome)


def only_the_first(job: object, rows: list[dict[str, Any]]) -> dict[str, bytes]:
    """Write the first row alone, whatever the job counts."""
    return {"BIJOutputSet.jsonl": json.dumps(rows[0]).encode() + b"\n"}


def test_an_answer_that_was_counted_and_is_in_no_file_is_not_paid_for_again(
    emulator: Emulator, folder: Path
) -> None:
    emulator.output_writer = only_the_first
    run = a_run(folder, source(2), delete_datasets=True)
    for _ in range(2):
        results = advance(emulator, run)
        assert job_ids(emulator) == [""]
        assert results.shortfall is not None
        assert "counts 2 answered rows, and the answers of 1 are here" in results.shortfall
        assert not results.is_over
        finish(emulator, run)  # which refuses
        assert run.manifest_path.exists()
        assert not [dataset.id for dataset in emulator.datasets if dataset.deleted]


def test_many_failed_rows_are_split_like_the_input(emulator: Emulator, folder: Path) -> None:
    results = advance(emulator, a_run(folder, source(5, dict.fromkeys(range(5), "[[flaky]]"))))
    require_own_answers(results.index, 5)
    assert job_ids(emulator)[3:] == ["r1-x3-0", "r1-x3-1", "r1-x3-2"]


#
# Jobs that end otherwise
#


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


@pytest.mark.parametrize("state", ["JOB_STATE_EXPIRED", "JOB_STATE_EARLY_STOPPED"])
def test_what_an_expired_job_has_not_finished_is_run_by_a_continuation(
    folder: Path, state: str
) -> None:
    with still_emulator() as emulator:
        run = a_run(folder, source(6), limits=ShardLimits())
        results = advance(emulator, run, ending_as(emulator, state, rows=4))
        require_own_answers(results.index, 6)
        assert job_ids(emulator) == ["", "r1"]
        [_, create] = emulator.requests_to("POST", JOBS)
        assert create.body["continuedFromJobName"].endswith(f"/{results.batch_id}")
        assert "inputDatasetId" not in create.body
        assert results.index.counts.duplicates == 0


def test_a_continuation_runs_what_failed_too(folder: Path) -> None:
    with still_emulator() as emulator:
        run = a_run(folder, source(6, {1: "[[flaky]]"}), limits=ShardLimits())
        # All rows, as which ones come first follows from the job's id.
        results = advance(emulator, run, ending_as(emulator, "JOB_STATE_EXPIRED", rows=6))
        require_own_answers(results.index, 6)
        [_, create] = emulator.requests_to("POST", JOBS)
        assert "inputDatasetId" not in create.body
        assert [job.rows for job in emulator.jobs] == [6, 1]


def test_an_answer_of_no_use_is_not_left_to_a_continuation(folder: Path) -> None:
    told: list[int] = []

    def refuse_once(outcome: Answer | Failure) -> str | None:
        told.append(outcome.index)
        return "of no use" if len(told) == 1 else None

    with still_emulator() as emulator:
        options = RunOptions(limits=ShardLimits(), wait_policy=EAGER)
        run = BatchRun(folder, source(6), SPEC, {}, options, refuse_once)
        results = advance(emulator, run, ending_as(emulator, "JOB_STATE_EXPIRED", rows=4))
        require_own_answers(results.index, 6)
        assert emulator.jobs[-1].input == f"{results.batch_id}-r1-in"
        assert emulator.jobs[-1].rows == 3


def with_window(folder: Path, hours: int | None) -> BatchRun:
    spec = replace(SPEC, window=None if hours is None else timedelta(hours=hours))
    options = RunOptions(limits=ShardLimits(max_rows=2), wait_policy=EAGER)
    return BatchRun(folder, source(3), spec, {"temperature": 0}, options)


def test_a_window_is_sent_with_every_job_and_may_change_on_the_way(folder: Path) -> None:
    with still_emulator() as emulator:
        with with_window(folder, 48).lock():
            run = with_window(folder, 48)
            with_client(emulator, lambda client: prepare(run, client))
        results = advance(
            emulator, with_window(folder, 12), ending_as(emulator, "JOB_STATE_EXPIRED", rows=1)
        )
        require_own_answers(results.index, 3)
        sent = [create.body["maxJobDuration"] for create in emulator.requests_to("POST", JOBS)]
        assert sent == ["172800s", "172800s", "43200s"]
        assert results.snapshots[0].window == timedelta(hours=48)


def refused(words: str) -> Fault:
    body = {"code": 3, "message": words, "details": []}
    return Fault("POST", JOBS, status=400, body=body, times=2)


@pytest.mark.parametrize("name", ["max_job_duration", "maxJobDuration"])
def test_a_window_that_is_refused_is_explained(folder: Path, name: str) -> None:
    with still_emulator() as emulator:
        emulator.faults.add(refused(f"invalid {name}: bad text"))
        with pytest.raises(InvalidRequestError, match=r"172800s.*leave the option out") as caught:
            advance(emulator, with_window(folder, 48))
        assert f"invalid {name}: bad text" in str(caught.value)
        assert not folder.exists()
        emulator.faults.add(refused("invalid precision"))
        with pytest.raises(InvalidRequestError) as caught:
            advance(emulator, with_window(folder, 48))
        assert "batch_window" not in str(caught.value)


def test_a_continuation_that_is_refused_is_replaced_by_a_job_of_its_own(folder: Path) -> None:
    with still_emulator() as emulator:
        emulator.faults.add(Fault("POST", JOBS, status=400, after=1))
        run = a_run(folder, source(6), limits=ShardLimits())
        results = advance(emulator, run, ending_as(emulator, "JOB_STATE_EXPIRED", rows=4))
        require_own_answers(results.index, 6)
        assert job_ids(emulator) == ["", "r1"]
        assert emulator.jobs[-1].input == f"{results.batch_id}-r1-in"
        assert emulator.jobs[-1].rows == 2


def test_a_repetition_that_is_refused_leaves_the_results_as_they_are(
    emulator: Emulator, folder: Path
) -> None:
    emulator.faults.add(Fault("POST", JOBS, status=400, after=1, times=None))
    results = advance(emulator, a_run(folder, source(2, {0: "[[flaky]]"}), row_retries=5))
    assert results.index.counts.rows == {"answered": 1, "failed": 1, "missing": 0}
    assert job_ids(emulator) == [""]
    assert [d.id for d in emulator.datasets if d.deleted] == [f"{results.batch_id}-r1-in"]
    assert results.is_over
    again = advance(emulator, a_run(folder, source(2, {0: "[[flaky]]"}), row_retries=0))
    assert again.index.counts == results.index.counts


def test_a_job_that_fails_as_a_whole_is_not_run_again(emulator: Emulator, folder: Path) -> None:
    def rows() -> Iterator[Request]:
        yield Request(0, {"messages": [{"role": "bananas", "content": "?"}]})

    results = advance(emulator, a_run(folder, rows))
    assert results.snapshots[-1].is_failed
    assert "bananas" in (results.snapshots[-1].error or "")
    assert results.index.counts.missing == 1
    [outcome] = results.index.outcomes()
    assert isinstance(outcome, Missing)
    assert "bananas" in results.message(outcome)
    assert len(emulator.jobs) == 1


def test_a_batch_cancelled_elsewhere_gives_what_it_finished(folder: Path) -> None:
    with still_emulator() as emulator:
        run = a_run(folder, source(6), limits=ShardLimits())
        results = advance(emulator, run, ending_as(emulator, "JOB_STATE_CANCELLED", rows=4))
        assert results.index.counts.rows == {"answered": 4, "failed": 0, "missing": 2}
        assert len(emulator.jobs) == 1


def test_a_job_removed_elsewhere_gives_what_it_finished(folder: Path) -> None:
    with still_emulator() as emulator:

        async def run_it(client: FireworksClient) -> BatchResults:
            run = a_run(folder, source(6), limits=ShardLimits())
            batch = await prepare(run, client)
            emulator.set_job(batch, state="JOB_STATE_RUNNING", rows=4)
            await client.jobs.delete(batch)
            emulator.clock.speed = 2000
            return await run.advance(client)

        results = with_client(emulator, run_it)
    assert results.index.counts.rows == {"answered": 4, "failed": 0, "missing": 2}
    assert results.snapshots[0].phase is Phase.CANCELLED


def test_a_batch_of_which_nothing_is_left_is_missing_and_over(
    emulator: Emulator, folder: Path
) -> None:
    async def run_it(client: FireworksClient) -> BatchResults:
        run = a_run(folder, source(2))
        batch = await prepare(run, client)
        await remove_job(client, batch)
        for dataset in (f"{batch}-in", f"{batch}-out"):
            await client.datasets.delete(dataset)
        return await run.advance(client)

    results = with_client(emulator, run_it)
    assert results.index.counts.missing == 2
    assert results.snapshots[0].phase is Phase.CANCELLED
    assert len(emulator.jobs) == 1


#
# Refused at once
#


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
    assert results.index.counts.rows == {"answered": 2, "failed": 0, "missing": 1}
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
    assert results.index.counts.rows == {"answered": 2, "failed": 0, "missing": 1}
    assert not [d.id for d in emulator.datasets if d.deleted and d.id.startswith(job.id)]


def test_a_retry_of_which_a_part_is_refused_keeps_the_other_part(
    emulator: Emulator, folder: Path
) -> None:
    emulator.faults.add(Fault("POST", JOBS, status=400, after=3, times=None))
    rows = source(4, dict.fromkeys(range(4), "[[flaky]]"))
    results = advance(emulator, a_run(folder, rows))
    assert job_ids(emulator) == ["x2-0", "x2-1", "r1-x2-0"]
    assert results.index.counts.rows == {"answered": 2, "failed": 2, "missing": 0}
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


#
# From wherever it stands
#


def test_a_run_goes_on_after_each_step(emulator: Emulator, folder: Path) -> None:
    rows = source(5, {3: "[[flaky]]"})
    with a_run(folder, rows).lock():
        batch = with_client(emulator, lambda client: prepare(a_run(folder, rows), client))
        assert not (folder / "spool").exists()
        assert with_client(emulator, lambda client: prepare(a_run(folder, rows), client)) == batch
    first = advance(emulator, a_run(folder, rows))
    again = advance(emulator, a_run(folder, rows))
    assert first.batch_id == again.batch_id == batch
    require_own_answers(first.index, 5)
    require_own_answers(again.index, 5)
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2", "r1"]
    assert len(emulator.requests_to("POST", "/datasets$")) == 4


def test_a_submission_that_broke_off_goes_on(emulator: Emulator, folder: Path) -> None:
    for path in ("/datasets$", ":upload$", JOBS):
        emulator.faults.add(Fault("POST", path, status=503, after=1, times=None))
        with pytest.raises(ServerError):
            advance(emulator, a_run(folder, source(5)))
        emulator.faults.clear()
    results = advance(emulator, a_run(folder, source(5)))
    require_own_answers(results.index, 5)
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2"]
    inputs = {
        dataset.id[-4:]: dataset for dataset in emulator.datasets if dataset.id.endswith("-in")
    }
    assert {name: (len(each.files), each.rows) for name, each in inputs.items()} == {
        "0-in": (1, 2),
        "1-in": (1, 2),
        "2-in": (1, 1),
    }


@pytest.mark.parametrize(
    ("rows", "spec", "settings", "says"),
    [
        (source(6), SPEC, {"temperature": 0}, "the input had 5 rows and has 6 now"),
        (source(5, {0: "!"}), SPEC, {"temperature": 0}, "as many rows as before, but other"),
        (source(5), JobSpec("accounts/fireworks/models/other"), {"temperature": 0}, "model was"),
        (source(5), JobSpec(SPEC.model, precision="FP8"), {"temperature": 0}, "precision was not"),
        (source(5), SPEC, {"temperature": 1}, "temperature was 0 and is now 1"),
        (source(5), SPEC, {"temperature": 0, "top_p": 1}, "top_p was not set and is now 1"),
    ],
)
@pytest.mark.parametrize("stage", ["submitted", "ended"])
def test_a_run_of_something_else_is_refused_with_an_explanation(
    emulator: Emulator,
    folder: Path,
    stage: str,
    rows: RowSource,
    spec: JobSpec,
    settings: dict[str, Any],
    says: str,
) -> None:
    run = a_run(folder, source(5))
    with run.lock():
        batch = with_client(emulator, lambda client: prepare(run, client))
        if stage == "ended":
            with_client(emulator, run.advance)
    before = (run.manifest_path.read_bytes(), len(emulator.requests))
    other = BatchRun(folder, rows, spec, settings, RunOptions(ShardLimits(max_rows=2)))
    with pytest.raises(RunMismatchError, match=says) as caught:
        advance(emulator, other)
    for hint in (str(folder), batch, "batch results", "remove"):
        assert hint in str(caught.value)
    assert (run.manifest_path.read_bytes(), len(emulator.requests)) == before


def test_another_account_or_server_is_something_else(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(2))
    with run.lock():
        with_client(emulator, lambda client: prepare(run, client))
    with quick_emulator(account="other") as other:
        with pytest.raises(RunMismatchError, match=r"account was .emulator. and is now .other."):
            advance(other, run)
        assert other.jobs == []


def test_other_limits_and_retries_are_not_something_else(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(5))
    with run.lock():
        with_client(emulator, lambda client: prepare(run, client))
    changed = a_run(folder, source(5), limits=ShardLimits(), upload_concurrency=1)
    require_own_answers(advance(emulator, changed).index, 5)
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2"]


def test_a_run_that_is_kept_for_its_open_rows_runs_them_when_it_is_started_again(
    emulator: Emulator, folder: Path
) -> None:
    rows = source(2, {1: "[[flaky 3]]"})
    run = a_run(folder, rows)
    first = advance(emulator, run)
    with run.lock():
        run.keep_for_open_rows()
    assert first.index.counts.failed == 1
    assert job_ids(emulator) == ["", "r1"]
    second = advance(emulator, a_run(folder, rows))
    require_own_answers(second.index, 2)
    assert job_ids(emulator) == ["", "r1", "r2", "r3"]


def test_no_number_of_crashes_at_the_delivery_buys_another_attempt(
    emulator: Emulator, folder: Path
) -> None:
    rows = source(2, {1: "[[fail]]"})
    for _ in range(4):
        run = a_run(folder, rows)
        assert advance(emulator, run).index.counts.failed == 1
        with run.lock():
            run.begin_delivery()  # and the disk is full, or it is killed
    assert job_ids(emulator) == ["", "r1"]


def test_a_crash_before_the_end_allows_no_further_attempt(emulator: Emulator, folder: Path) -> None:
    rows = source(2, {1: "[[fail]]"})
    run = a_run(folder, rows)
    advance(emulator, run)
    assert job_ids(emulator) == ["", "r1"]
    manifest = json.loads(run.manifest_path.read_text())
    manifest["attempts"][-1]["stage"] = "collected"  # as it was a moment before
    run.manifest_path.write_text(json.dumps(manifest))
    results = advance(emulator, a_run(folder, rows))
    [failed] = results.index.outcomes([1])
    assert isinstance(failed, Failure)
    assert job_ids(emulator) == ["", "r1"]


def test_a_truncated_manifest_is_a_clear_error_and_submits_nothing(
    emulator: Emulator, folder: Path
) -> None:
    run = a_run(folder, source(2))
    with run.lock():
        with_client(emulator, lambda client: prepare(run, client))
    run.manifest_path.write_bytes(run.manifest_path.read_bytes()[:-20])
    before = len(emulator.requests)
    with pytest.raises(ManifestError, match="safe"):
        advance(emulator, run)
    with pytest.raises(ManifestError):
        finish(emulator, run)
    assert len(emulator.requests) == before
    assert run.manifest_path.exists()


@pytest.mark.parametrize("damage", ["removed", "truncated"])
@pytest.mark.parametrize("job", ["x3-1", "r1"])
def test_a_spool_that_is_gone_is_written_anew(
    emulator: Emulator, folder: Path, job: str, damage: str
) -> None:
    rows = source(5, {0: "[[flaky]]", 4: "[[flaky]]"})
    emulator.faults.add(Fault("POST", f"{job}-in:upload$", status=403))
    with pytest.raises(AuthenticationError):
        advance(emulator, a_run(folder, rows))
    files = list(folder.glob("spool/*/*.jsonl"))
    assert files
    for file in files:
        if damage == "removed":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:-10])
    require_own_answers(advance(emulator, a_run(folder, rows)).index, 5)
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2", "r1"]


def test_a_file_that_vanishes_before_its_upload_is_told(emulator: Emulator, folder: Path) -> None:
    def rows() -> Iterator[Request]:
        yield from source(2)()
        (folder / "spool" / "0" / "shard-0.jsonl").unlink()

    with pytest.raises(SpoolError, match="Run again with the same input"):
        advance(emulator, a_run(folder, rows))
    assert emulator.jobs == []
    require_own_answers(advance(emulator, a_run(folder, source(2))).index, 2)
    assert job_ids(emulator) == [""]


@pytest.mark.parametrize("what", ["results", "results/0/*", "results/0/*/0.jsonl", "results/1/*/*"])
def test_results_that_are_gone_are_fetched_again(
    emulator: Emulator, folder: Path, what: str
) -> None:
    rows = source(5, {0: "[[flaky]]"})
    advance(emulator, a_run(folder, rows))
    for path in list(folder.glob(what)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    require_own_answers(advance(emulator, a_run(folder, rows)).index, 5)
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2", "r1"]


def test_results_that_only_we_have_are_kept(emulator: Emulator, folder: Path) -> None:
    rows = source(5, {0: "[[flaky]]"})
    advance(emulator, a_run(folder, rows))

    async def remove_all(client: FireworksClient) -> None:
        for job in list(emulator.jobs):
            await remove_job(client, job.id)
        for dataset in list(emulator.datasets):
            await client.datasets.delete(dataset.id)

    with_client(emulator, remove_all)
    require_own_answers(advance(emulator, a_run(folder, rows)).index, 5)
    assert len(emulator.jobs) == 4


def test_a_disk_that_is_full_while_fetching_loses_nothing(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(5))
    with run.lock():
        batch = with_client(emulator, lambda client: prepare(run, client))
    place = folder / "results" / "0" / f"{batch}-1"
    place.mkdir(parents=True)
    part = place / f"{local_name(f'dataset/{batch}-1-out/BIJOutputSet.jsonl')}.part"
    part.mkdir()
    with pytest.raises(SpoolError, match=r"Cannot write the results.*safe on Fireworks"):
        advance(emulator, a_run(folder, source(5)))
    part.rmdir()
    require_own_answers(advance(emulator, a_run(folder, source(5))).index, 5)
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2"]


def test_a_disk_that_is_full_before_anything_is_submitted(emulator: Emulator, folder: Path) -> None:
    folder.mkdir()
    (folder / MARKER).touch()
    (folder / "spool").write_text("in the way")
    with pytest.raises(SpoolError, match=r"Nothing was submitted.*run_dir"):
        advance(emulator, a_run(folder, source(2)))
    assert emulator.requests == []


def test_a_disk_that_is_full_while_rows_are_run_again_is_no_reason_to_begin_anew(
    emulator: Emulator, folder: Path
) -> None:
    def fill(snapshot: Snapshot) -> None:
        if snapshot.is_terminal:
            (folder / "spool").write_text("in the way")

    rows = source(2, {0: "[[flaky]]"})
    with pytest.raises(SpoolError, match="stands where it was") as caught:
        advance(emulator, a_run(folder, rows), fill)
    assert emulator.jobs[0].id in str(caught.value)
    assert "run_dir" not in str(caught.value)
    assert "Nothing was submitted" not in str(caught.value)
    (folder / "spool").unlink()
    require_own_answers(advance(emulator, a_run(folder, rows)).index, 2)
    assert job_ids(emulator) == ["", "r1"]


def test_a_row_that_cannot_be_sent_any_more_says_where_the_batch_is(
    emulator: Emulator, folder: Path
) -> None:
    def broken() -> Iterator[Request]:
        yield from source(1)()
        raise RowError("There is no image file any more.", 1)

    with pytest.raises(RowError, match="Nothing was submitted"):
        advance(emulator, a_run(folder, broken))
    run = a_run(folder, source(2))
    with run.lock():
        batch = with_client(emulator, lambda client: prepare(run, client))
    with pytest.raises(RowError, match=f"image.*`oumi-fireworks batch results {batch}`") as caught:
        advance(emulator, a_run(folder, broken))
    assert caught.value.index == 1
    assert "Nothing was submitted" not in str(caught.value)
    require_own_answers(advance(emulator, a_run(folder, source(2))).index, 2)


def test_a_place_that_cannot_be_used_is_told(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolError, match="run_dir"), a_run(tmp_path / "file", source(1)).lock():
        pass


#
# Delivery
#


def deliver(run: BatchRun, place: Path, *, moved: bool = True) -> None:
    """Put a run's rows into a file, as far as its place or not."""
    new = place.with_name("new")
    with run.lock(), new.open("wb") as file:
        file.write(b"rows")
        file.flush()
        run.begin_delivery(FileMark.of(place, file.fileno()))
    if moved:
        new.replace(place)


def test_a_run_that_has_delivered_is_over_for_whoever_asks_for_the_rest(
    emulator: Emulator, folder: Path, tmp_path: Path
) -> None:
    run = a_run(folder, source(3))
    advance(emulator, run)
    deliver(run, tmp_path / "rows")
    with (tmp_path / "rows").open("ab") as file:
        file.write(b"more of them")
    results = advance(emulator, a_run(folder, source(2, {0: "other"}), place=tmp_path / "rows"))
    require_own_answers(results.index, 2)
    assert len(emulator.jobs) == 3


@pytest.mark.parametrize("place", [None, Path("others")])
def test_a_run_that_has_delivered_elsewhere_is_not_paid_for_again(
    emulator: Emulator, folder: Path, tmp_path: Path, place: Path | None
) -> None:
    run = a_run(folder, source(3))
    advance(emulator, run)
    deliver(run, tmp_path / "rows")
    other = a_run(folder, source(4), place=place)
    with pytest.raises(RunMismatchError, match=r"3 rows and has 4 now.* is kept in .*rows, and"):
        advance(emulator, other)
    assert len(emulator.jobs) == 2


def test_a_run_that_was_killed_before_it_delivered_is_not_forgotten(
    emulator: Emulator, folder: Path, tmp_path: Path
) -> None:
    run = a_run(folder, source(3))
    advance(emulator, run)
    deliver(run, tmp_path / "rows", moved=False)
    with pytest.raises(RunMismatchError, match="batch results"):
        advance(emulator, a_run(folder, source(2, {0: "other"})))
    require_own_answers(advance(emulator, a_run(folder, source(3))).index, 3)
    assert len(emulator.jobs) == 2


def test_a_run_that_has_delivered_does_not_refuse_other_settings(
    emulator: Emulator, folder: Path, tmp_path: Path
) -> None:
    run = a_run(folder, source(3), delete_datasets=True)
    advance(emulator, run)
    deliver(run, tmp_path / "rows")
    options = RunOptions(wait_policy=EAGER, delete_datasets=True)
    other = BatchRun(folder, source(3), SPEC, {"temperature": 1}, options)
    require_own_answers(advance(emulator, other).index, 3)
    assert len(emulator.jobs) == 3
    gone = [dataset.id[21:] for dataset in emulator.datasets if dataset.deleted]
    assert sorted(gone) == ["-x2-0-in", "-x2-0-out", "-x2-1-in", "-x2-1-out"]


def test_a_run_in_delivery_with_other_settings_is_something_else(
    emulator: Emulator, folder: Path
) -> None:
    run = a_run(folder, source(3))
    advance(emulator, run)
    with run.lock():
        run.begin_delivery()
    other = BatchRun(folder, source(3), SPEC, {"temperature": 1}, RunOptions(wait_policy=EAGER))
    with pytest.raises(RunMismatchError, match=r"temperature was 0 and is now 1.*batch results"):
        advance(emulator, other)
    require_own_answers(advance(emulator, a_run(folder, source(3))).index, 3)
    assert len(emulator.jobs) == 2


def test_a_run_in_delivery_goes_on_for_whoever_asks_for_the_same(
    emulator: Emulator, folder: Path
) -> None:
    run = a_run(folder, source(3))
    advance(emulator, run)
    with run.lock():
        run.begin_delivery()
    require_own_answers(advance(emulator, a_run(folder, source(3))).index, 3)
    assert len(emulator.jobs) == 2


def test_two_at_once_are_not_mixed(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(2))
    with run.lock():
        with pytest.raises(RunLockedError, match=f"{folder}.*changed nothing"):
            advance(emulator, a_run(folder, source(2)))
        assert emulator.requests == []
        with_client(emulator, run.advance)
    require_own_answers(advance(emulator, a_run(folder, source(2))).index, 2)
    assert len(emulator.jobs) == 1


def test_an_interrupted_run_can_be_told_apart_by_its_id(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(2))
    assert (run.current, run.batch_id) == (None, None)
    emulator.faults.add(Fault("POST", JOBS, status=503, times=None))
    with pytest.raises(ServerError):
        advance(emulator, run)
    planned = run.current
    assert planned is not None
    assert run.batch_id is None
    emulator.faults.clear()
    with run.lock():
        batch = with_client(emulator, lambda client: prepare(run, client))
    assert run.batch_id == planned.batch_id == batch


def test_a_run_that_an_earlier_version_began_goes_on(emulator: Emulator, folder: Path) -> None:
    """Its rows have ids without digests, and must come out with the same bytes."""

    def before() -> Iterator[Request]:
        return (replace(row, digest=None) for row in source(3)())

    run = a_run(folder, before)
    with run.lock():
        batch = with_client(emulator, lambda client: prepare(run, client))
    manifest = json.loads(run.manifest_path.read_bytes())
    del manifest["has_digests"]
    run.manifest_path.write_text(json.dumps(manifest))
    results = advance(emulator, a_run(folder, source(3)))
    assert results.batch_id == batch
    require_own_answers(results.index, 3)
    assert len(emulator.jobs) == 2


#
# Whose folder it is
#


@pytest.mark.parametrize("what", ["results", "lock", "run.json", "notes.txt"])
def test_a_folder_of_the_user_s_own_is_refused_and_left_alone(
    emulator: Emulator, folder: Path, what: str
) -> None:
    folder.mkdir()
    (folder / what).write_text("mine")
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ForeignFolderError, match=r"not made by.*Nothing in it was touched"):
        advance(emulator, a_run(folder, source(2)))
    assert sorted(path.name for path in folder.iterdir()) == sorted([what, "mine.txt"])
    assert emulator.requests == []


@pytest.mark.parametrize("name", [MARKER, "lock"])
def test_a_link_in_the_place_of_a_file_of_ours_is_not_followed(
    emulator: Emulator, folder: Path, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    folder.mkdir()
    (folder / name).symlink_to(victim)
    with suppress(SpoolError):
        advance(emulator, a_run(folder, source(2)))
    assert victim.read_text() == "theirs"


def test_what_the_user_puts_beside_our_files_stays(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(2))
    advance(emulator, run)
    (folder / "notes.txt").write_text("mine")
    finish(emulator, run)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_folder_that_an_earlier_version_has_made_is_ours(
    emulator: Emulator, folder: Path
) -> None:
    run = a_run(folder, source(2))
    with run.lock():
        with_client(emulator, lambda client: prepare(run, client))
    (folder / MARKER).unlink()
    require_own_answers(advance(emulator, a_run(folder, source(2))).index, 2)
    assert len(emulator.jobs) == 1


#
# Two at once
#


def test_the_second_of_two_waits_for_the_first_and_delivers_the_same(
    emulator: Emulator, folder: Path
) -> None:
    first, second = a_run(folder, source(3)), a_run(folder, source(3))

    def join() -> None:
        with second.lock(wait=True):
            require_own_answers(with_client(emulator, second.advance).index, 3)
            with_client(emulator, second.finish)

    with ThreadPoolExecutor(1) as pool:
        with first.lock():
            other = pool.submit(join)
            while not list(folder.glob("waiting-*")):
                assert not other.done()
            with_client(emulator, first.advance)
            with_client(emulator, first.finish)
            assert first.manifest_path.exists()  # for the other
        other.result()
    assert len(emulator.jobs) == 2
    assert not folder.exists()
