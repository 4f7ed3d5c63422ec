"""Answers that do not hold: asked for again with other parameters, and never with the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.accept.again import Again
from oumi_fireworks.accept.rules import read_on_reject
from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import (
    Answer,
    BatchResults,
    BatchRun,
    Outcome,
    Rejected,
    RunOptions,
    ShardLimits,
    take_snapshot,
)
from oumi_fireworks.batch.inputs import collect_inputs, read_requests
from oumi_fireworks.batch.manifest import Manifest
from oumi_fireworks.batch.run_input import RowSource
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import RunMismatchError, ServerError
from tests.api.support import with_client
from tests.batch.run.support import advance, ending_as, finish, job_ids
from tests.batch.support import EAGER, SPEC, holds, source, still_emulator, texts

WARMER = {"temperature": 0.2, "attempts": 2}
FIELDS = {"temperature": 0.0, "max_tokens": 50}


def a_run(
    folder: Path, rows: RowSource, on_reject: Any = WARMER, rules: str = "1", **changes: Any
) -> BatchRun:
    """A run whose answers have to begin with the number of their row."""
    policy = read_on_reject(on_reject)
    options = RunOptions(
        limits=ShardLimits(max_rows=changes.pop("max_rows", 3)),
        wait_policy=EAGER,
        again=None if policy is None else Again(policy, FIELDS),
        rules=rules,
        **changes,
    )
    return BatchRun(folder, rows, SPEC, FIELDS, options, holds)


def sent(emulator: Emulator, folder: Path) -> list[dict[int, Mapping[str, Any]]]:
    """What was asked for, by job and row."""

    async def read(client: FireworksClient) -> list[dict[int, Mapping[str, Any]]]:
        found = []
        for job in emulator.jobs:
            snapshot = await take_snapshot(client, job.id)
            files = await collect_inputs(client, snapshot.jobs, folder / job.id)
            assert files is not None
            found.append({name.index: body for name, body in read_requests(files)})
        return found

    return with_client(emulator, read)


def outcomes(results: BatchResults) -> list[Outcome]:
    return list(results.index.outcomes())


def test_rejected_rows_are_run_again_with_other_parameters(
    emulator: Emulator, folder: Path, tmp_path: Path
) -> None:
    rows = source(4, {1: "[[bad 1]]", 3: "[[bad 2]]"})
    results = advance(emulator, a_run(folder, rows, max_rows=None))
    assert sorted(texts(results.index)) == [0, 1, 2, 3]
    assert job_ids(emulator) == ["", "r1", "r2"]
    first, second, third = sent(emulator, tmp_path)
    assert sorted(first) == [0, 1, 2, 3]
    assert {row: body.get("temperature") for row, body in second.items()} == {1: 0.2, 3: 0.2}
    assert {row: body.get("temperature") for row, body in third.items()} == {3: 0.4}
    (kind,) = results.index.rejections.kinds.values()
    assert kind.answers == 3
    assert sorted(kind.rows) == [1, 3, 3]
    assert kind.usage.completion > 0


def test_without_on_reject_a_rejected_row_is_not_run_again(
    emulator: Emulator, folder: Path
) -> None:
    results = advance(emulator, a_run(folder, source(2, {1: "[[bad 1]]"}), on_reject=None))
    assert job_ids(emulator) == [""]
    assert results.index.counts.rows == {"answered": 1, "rejected": 1, "failed": 0, "missing": 0}
    assert results.is_over
    rejected = outcomes(results)[1]
    assert isinstance(rejected, Rejected)
    assert rejected.completion["choices"][0]["message"]["content"].startswith("This is not what")
    assert (rejected.rejection.kind, rejected.times) == ("another row", 1)


def test_attempts_are_counted_for_each_row(emulator: Emulator, folder: Path) -> None:
    rows = source(3, {0: "[[bad 9]]", 1: "[[bad 9]]", 2: "[[flaky 1]][[bad 1]]"})
    results = advance(emulator, a_run(folder, rows))
    assert job_ids(emulator) == ["", "r1", "r2"]
    rejected = [each for each in outcomes(results) if isinstance(each, Rejected)]
    # Row 2 failed at first, was rejected in the first attempt after, and then answered.
    assert [(each.index, each.times) for each in rejected] == [(0, 3), (1, 3)]
    assert isinstance(outcomes(results)[2], Answer)


def test_failed_rows_are_retried_as_often_as_they_were_before(
    emulator: Emulator, folder: Path, tmp_path: Path
) -> None:
    rows = source(2, {0: "[[bad 2]]", 1: "[[flaky 9]]"})
    results = advance(emulator, a_run(folder, rows, row_retries=1))
    assert results.index.counts.rows == {"answered": 1, "rejected": 0, "failed": 1, "missing": 0}
    assert [sorted(each) for each in sent(emulator, tmp_path)] == [[0, 1], [0, 1], [0]]


def test_an_attempt_that_is_refused_leaves_the_answers_that_there_are(
    emulator: Emulator, folder: Path
) -> None:
    run = a_run(folder, source(1, {0: "[[bad 1]]"}))
    emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=400, after=1, times=None))
    results = advance(emulator, run)
    assert results.index.counts.rejected == 1
    assert job_ids(emulator) == [""]


def test_what_was_rejected_is_not_run_again_in_a_further_round(
    emulator: Emulator, folder: Path, tmp_path: Path
) -> None:
    rows = source(2, {0: "[[bad 9]]", 1: "[[flaky 2]]"})
    run = a_run(folder, rows, on_reject={"temperature": 0.2}, row_retries=1)
    advance(emulator, run)
    with run.lock():
        run.keep_for_open_rows()
    results = advance(emulator, a_run(folder, rows, on_reject={"temperature": 0.2}, row_retries=1))
    assert results.index.counts.rows == {"answered": 1, "rejected": 1, "failed": 0, "missing": 0}
    assert [sorted(each) for each in sent(emulator, tmp_path)] == [[0, 1], [0, 1], [1]]


def test_the_manifest_knows_which_rows_have_other_parameters(
    emulator: Emulator, folder: Path
) -> None:
    rows = source(3, {1: "[[bad 1]]", 2: "[[flaky 1]]"})
    run = a_run(folder, rows)
    advance(emulator, run)
    manifest = Manifest.load(run.manifest_path)
    assert manifest is not None
    known = [(each.unanswered, each.rejected, each.rules) for each in manifest.attempts]
    assert known == [(True, 0, ""), (True, 1, "1")]


@pytest.mark.parametrize("lost", ["spool", "nothing"])
def test_the_requests_of_a_further_attempt_are_written_anew_to_the_same_bytes(
    emulator: Emulator, folder: Path, tmp_path: Path, lost: str
) -> None:
    rows = source(4, {1: "[[bad 1]]", 2: "[[bad 9]]"})
    policy = {"repair": 1, "max_new_tokens": "x2", "attempts": 2}
    emulator.faults.add(Fault("POST", ":upload$", status=503, after=1, times=None))
    with pytest.raises(ServerError):
        advance(emulator, a_run(folder, rows, policy, max_rows=None))
    emulator.faults.clear()
    written = (folder / "spool" / "1" / "shard-0.jsonl").read_bytes()
    assert b"Answer again" in written
    if lost == "spool":
        shutil.rmtree(folder / "spool")
    results = advance(emulator, a_run(folder, rows, policy, max_rows=None))
    assert job_ids(emulator) == ["", "r1"]
    assert results.index.counts.answered == 4  # the message of a repair has no marker
    first = sent(emulator, tmp_path)[1]
    assert {row: body["max_tokens"] for row, body in first.items()} == {1: 100, 2: 100}
    assert [message["role"] for message in first[1]["messages"]] == ["user", "assistant", "user"]


def test_other_rules_are_refused_only_while_rows_are_chosen_by_the_old_ones_and_not_sent(
    emulator: Emulator, folder: Path
) -> None:
    rows = source(2, {1: "[[bad 1]]"})
    emulator.faults.add(Fault("POST", ":upload$", status=503, after=1, times=None))
    with pytest.raises(ServerError):
        advance(emulator, a_run(folder, rows))
    emulator.faults.clear()
    shutil.rmtree(folder / "spool")
    warmest = {"temperature": 0.9}
    with pytest.raises(RunMismatchError, match="accept or on_reject were others"):
        advance(emulator, a_run(folder, rows, warmest, rules="2"))
    assert advance(emulator, a_run(folder, rows)).index.counts.is_complete
    assert advance(emulator, a_run(folder, rows, warmest, rules="2")).index.counts.is_complete
    assert job_ids(emulator) == ["", "r1"]


def test_a_batch_that_expired_is_not_continued_where_rejected_rows_are_to_be_asked_again(
    folder: Path, tmp_path: Path
) -> None:
    rows = source(3, {0: "[[bad 1]]", 1: "[[bad 1]]", 2: "[[bad 1]]"})
    with still_emulator() as emulator:
        on_progress = ending_as(emulator, "JOB_STATE_EXPIRED", rows=2)
        results = advance(emulator, a_run(folder, rows, max_rows=None), on_progress)
        assert results.index.counts.is_complete
        further = [body.get("temperature") for body in sent(emulator, tmp_path)[1].values()]
    # What was not come to is asked for as it was, badly answered, and asked for again.
    assert sorted(map(str, further)) == ["0.2", "0.2", "None"]


def test_a_run_of_rejected_rows_alone_is_over(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(1, {0: "[[bad 9]]"}), on_reject=None)
    assert advance(emulator, run).is_over
    finish(emulator, run)
    assert not run.manifest_path.exists()
