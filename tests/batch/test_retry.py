"""Rows that a batch left open, run again as a further batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import Answer, BatchResults, fetch_results, needed_rows, retry_rows, watch
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import BatchError, InvalidRequestError, NoRowsError, ResultsLateError
from tests.api.support import with_client
from tests.batch.support import (
    EAGER,
    SPEC,
    quick_emulator,
    require_own_answers,
    run_to_end,
    source,
    still_emulator,
    submit,
)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose jobs take a few milliseconds."""
    with quick_emulator() as emulator:
        yield emulator


async def retry(
    client: FireworksClient,
    results: BatchResults,
    folder: Path,
    rows: int,
    parameters: Mapping[str, Any] | None = None,
) -> str:
    is_needed = needed_rows(results, None, None)
    asked = (
        replace(row, body={**row.body, **(parameters or {})})
        for row in source(rows)()
        if is_needed(row.index)
    )
    further, _ = await retry_rows(
        client,
        results,
        asked,
        SPEC,
        attempt=len(results.snapshots),
        folder=folder / "again",
        concurrency=2,
        hoist=True,
    )
    return further


def test_failed_and_missing_rows_are_run_again_and_merged(
    emulator: Emulator, tmp_path: Path
) -> None:
    async def run(client: FireworksClient) -> BatchResults:
        marks = {"row_0": "[[fail]]", "row_2": "[[fail]]", "row_3": "[[broken]]"}
        batch = await run_to_end(client, tmp_path, 5, **marks)
        results = await fetch_results(client, [batch], 5, tmp_path / "results")
        again = await retry(client, results, tmp_path, 5)
        assert await retry(client, results, tmp_path, 5) == again  # not a second one
        assert again == f"{batch.removesuffix('-x3')}-r1-x2"
        await watch(client, again, EAGER)
        return await fetch_results(client, [batch, again], 5, tmp_path / "results")

    results = with_client(emulator, run)
    require_own_answers(results.index, 5)
    assert len(emulator.jobs) == 5
    assert [job.rows for job in emulator.jobs[3:]] == [2, 1]


def test_nothing_is_run_again_when_all_is_well(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> None:
        batch = await run_to_end(client, tmp_path)
        results = await fetch_results(client, [batch], 4, tmp_path / "results")
        await retry(client, results, tmp_path, 4)

    with pytest.raises(NoRowsError, match="Every row of batch oumi-"):
        with_client(emulator, run)
    assert len(emulator.jobs) == 2


def test_an_expired_batch_is_continued(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> BatchResults:
            batch = await submit(client, tmp_path, 2)
            emulator.set_job(batch, state="JOB_STATE_EXPIRED", rows=1)
            results = await fetch_results(client, [batch], 2, tmp_path / "results")
            rows = results.index.counts.rows
            assert rows == {
                "answered": 1,
                "rejected": 0,
                "failed": 0,
                "missing": 1,
            }
            again = await retry(client, results, tmp_path, 2)
            emulator.set_job(again, state="JOB_STATE_COMPLETED")
            return await fetch_results(client, [batch, again], 2, tmp_path / "results")

        results = with_client(emulator, run)
        assert emulator.jobs[1].input == emulator.jobs[0].input
    require_own_answers(results.index, 2)


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_continuation_that_is_refused_is_replaced_by_a_job_of_its_own(
    tmp_path: Path, status: int
) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> BatchResults:
            batch = await submit(client, tmp_path, 2)
            emulator.set_job(batch, state="JOB_STATE_EXPIRED", rows=1)
            results = await fetch_results(client, [batch], 2, tmp_path / "results")
            emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=status))
            again = await retry(client, results, tmp_path, 2)
            assert await retry(client, results, tmp_path, 2) == again  # not a second one
            emulator.set_job(again, state="JOB_STATE_COMPLETED")
            return await fetch_results(client, [batch, again], 2, tmp_path / "results")

        require_own_answers(with_client(emulator, run).index, 2)
        assert [job.rows for job in emulator.jobs] == [2, 1]


async def expired(emulator: Emulator, client: FireworksClient, folder: Path) -> BatchResults:
    """A batch that has expired when one of its two rows was done."""
    batch = await submit(client, folder, 2)
    emulator.set_job(batch, state="JOB_STATE_EXPIRED", rows=1)
    return await fetch_results(client, [batch], 2, folder / "results")


OTHER = {"max_tokens": 1}


def test_a_continuation_is_not_taken_for_a_run_with_other_parameters(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> None:
            results = await expired(emulator, client, tmp_path)
            again = await retry(client, results, tmp_path, 2)
            before = len(emulator.datasets)
            with pytest.raises(BatchError, match=rf"{again} exists.* with the parameters of that"):
                await retry(client, results, tmp_path, 2, OTHER)
            assert len(emulator.datasets) == before

        with_client(emulator, run)
        assert len(emulator.jobs) == 2


def test_rows_of_an_expired_batch_are_run_with_the_parameters_that_are_asked_for(
    tmp_path: Path,
) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> BatchResults:
            results = await expired(emulator, client, tmp_path)
            again = await retry(client, results, tmp_path, 2, OTHER)
            assert await retry(client, results, tmp_path, 2, OTHER) == again  # not a second one
            with pytest.raises(BatchError, match="with other parameters"):
                await retry(client, results, tmp_path, 2)
            emulator.set_job(again, state="JOB_STATE_COMPLETED")
            return await fetch_results(client, [results.batch_id, again], 2, tmp_path / "results")

        outcomes = with_client(emulator, run).index.outcomes()
        ends = [
            each.completion["choices"][0]["finish_reason"]
            for each in outcomes
            if isinstance(each, Answer)
        ]
        assert sorted(ends) == ["length", "stop"]
        assert [job.rows for job in emulator.jobs] == [2, 1]


def test_rows_of_an_expired_batch_whose_input_is_gone_are_sent_anew(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> str:
            results = await expired(emulator, client, tmp_path)
            await client.datasets.delete(f"{results.batch_id}-in")
            return await retry(client, results, tmp_path, 2)

        again = with_client(emulator, run)
        assert emulator.jobs[-1].input == f"{again}-in"
        assert [each.rows for each in emulator.datasets if each.id == f"{again}-in"] == [1]


def test_a_retry_that_is_refused_says_why(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> None:
        batch = await run_to_end(client, tmp_path, 2, row_0="[[fail]]")
        results = await fetch_results(client, [batch], 2, tmp_path / "results")
        emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=400, times=None))
        await retry(client, results, tmp_path, 2)

    with pytest.raises(InvalidRequestError, match="a fault was asked for"):
        with_client(emulator, run)
    assert len(emulator.jobs) == 1


def test_nothing_is_run_again_while_answers_are_late(emulator: Emulator, tmp_path: Path) -> None:
    def without_the_last(job: object, rows: list[dict[str, Any]]) -> dict[str, bytes]:
        return {
            "BIJOutputSet.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in rows[:-1])
        }

    emulator.output_writer = without_the_last

    async def run(client: FireworksClient) -> None:
        batch = await run_to_end(client, tmp_path, 2)
        results = await fetch_results(client, [batch], 2, tmp_path / "results")
        await retry(client, results, tmp_path, 2)

    with pytest.raises(ResultsLateError, match="Nothing is run again while answers are missing"):
        with_client(emulator, run)
    assert len(emulator.jobs) == 1
