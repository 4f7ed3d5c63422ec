"""A run that goes on from wherever it stands: after crashes, full disks and lost files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import (
    BatchRun,
    Failure,
    JobSpec,
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
    ManifestError,
    RowError,
    RunMismatchError,
    ServerError,
    SpoolError,
)
from tests.api.support import with_client
from tests.batch.run.support import JOBS, advance, finish, job_ids
from tests.batch.support import (
    SPEC,
    a_run,
    prepare,
    quick_emulator,
    remove_job,
    require_own_answers,
    source,
)


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
