"""A run and the place to which its rows are delivered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from oumi_fireworks.batch import BatchRun, FileMark, Request, RunOptions
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import RunLockedError, RunMismatchError, ServerError
from tests.api.support import with_client
from tests.batch.run.support import JOBS, advance
from tests.batch.support import EAGER, SPEC, a_run, prepare, require_own_answers, source


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


def test_what_was_delivered_stays_the_run_s_own_while_it_is_replaced(
    emulator: Emulator, folder: Path, tmp_path: Path
) -> None:
    """Killed again and again before the new file is in its place, it finds its old one there."""
    run, place = a_run(folder, source(3)), tmp_path / "rows"
    advance(emulator, run)
    assert not run.has_own_file
    deliver(run, place)
    for _ in range(2):
        deliver(run, place, moved=False)
        assert run.has_own_file
    users = tmp_path / "users"
    users.write_text("other rows")
    users.replace(place)
    assert not run.has_own_file


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


def test_a_run_in_delivery_goes_on_for_the_same_settings_and_refuses_others(
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
