"""Jobs of a run that end otherwise than completed, and what is run again of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from oumi_fireworks.api import FireworksClient, Phase
from oumi_fireworks.batch import (
    Answer,
    BatchResults,
    BatchRun,
    Failure,
    Missing,
    Request,
    RunOptions,
    ShardLimits,
)
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import InvalidRequestError
from tests.api.support import with_client
from tests.batch.run.support import JOBS, advance, ending_as, job_ids
from tests.batch.support import (
    EAGER,
    SPEC,
    a_run,
    prepare,
    remove_job,
    require_own_answers,
    source,
    still_emulator,
)


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
    assert results.index.counts.rows == {"answered": 1, "rejected": 0, "failed": 1, "missing": 0}
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
        rows = results.index.counts.rows
        assert rows == {
            "answered": 4,
            "rejected": 0,
            "failed": 0,
            "missing": 2,
        }
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
    assert results.index.counts.rows == {"answered": 4, "rejected": 0, "failed": 0, "missing": 2}
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
