"""A run with a memory, where all goes well: from rows to results, and failed rows once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import Phase
from oumi_fireworks.batch import Missing, Snapshot
from oumi_fireworks.emulator import Emulator
from tests.batch.run.support import advance, finish, job_ids
from tests.batch.support import a_run, require_own_answers, source


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
