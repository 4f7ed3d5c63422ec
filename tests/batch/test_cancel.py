"""Stopping a batch, with and without a route for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oumi_fireworks.api import FireworksClient, Phase
from oumi_fireworks.batch import (
    BatchResults,
    ShardLimits,
    Snapshot,
    cancel,
    fetch_results,
    submit_new,
)
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import InvalidRequestError, NotFoundError
from tests.api.support import MODEL, jobs_as_sent, make_ready_dataset, with_client
from tests.batch.support import SPEC, source, still_emulator


@pytest.fixture(params=[True, False], ids=["with-route", "without-route"])
def still(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator whose jobs move only by hand, with and without the route."""
    with still_emulator(cancel_route=request.param) as emulator:
        yield emulator


async def submit_running(client: FireworksClient, emulator: Emulator, folder: Path) -> str:
    """Two jobs of two rows that run, each with one row done."""
    batch = await submit_new(
        client, source(4)(), SPEC, folder=folder, limits=ShardLimits(max_rows=2), concurrency=2
    )
    emulator.clock.advance(400)
    assert [job.state for job in emulator.jobs] == ["JOB_STATE_RUNNING"] * 2
    return batch


def test_it_stops_the_jobs_and_keeps_what_they_have_finished(
    still: Emulator, tmp_path: Path
) -> None:
    async def run(client: FireworksClient) -> tuple[Snapshot, BatchResults]:
        batch = await submit_running(client, still, tmp_path)
        snapshot = await cancel(client, batch)
        still.clock.advance(60)  # until it has stopped
        return snapshot, await fetch_results(client, [batch], 4, tmp_path / "results")

    snapshot, results = with_client(still, run)
    assert snapshot.phase in (Phase.CANCELLING, Phase.CANCELLED)
    assert results.index.counts.rows == {"answered": 2, "rejected": 0, "failed": 0, "missing": 2}
    assert results.snapshots[0].phase is Phase.CANCELLED


def test_results_asked_for_while_it_is_being_removed_are_waited_for(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> BatchResults:
            batch = await submit_running(client, emulator, tmp_path)
            snapshot = await cancel(client, batch)
            assert snapshot.state == "JOB_STATE_DELETING_CLEANING_UP"
            emulator.clock.speed = 100  # the ten seconds that it takes are a tenth of one
            return await fetch_results(client, [batch], 4, tmp_path / "results")

        results = with_client(emulator, run)
    assert results.index.counts.rows == {"answered": 2, "rejected": 0, "failed": 0, "missing": 2}


def test_jobs_that_have_ended_are_left_alone(still: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> Snapshot:
        batch = await submit_running(client, still, tmp_path)
        still.set_job(f"{batch}-0", state="JOB_STATE_COMPLETED")
        await cancel(client, batch)
        return await cancel(client, batch)

    snapshot = with_client(still, run)
    assert snapshot.jobs[0].phase is Phase.COMPLETED
    assert not still.requests_to("POST", "-0:cancel$")
    assert not still.requests_to("DELETE", "-0$")


@pytest.mark.parametrize("kind", ["lost_answer", "truncated_json", "reset", "status"])
def test_a_lost_answer_does_not_matter(still: Emulator, tmp_path: Path, kind: str) -> None:
    still.faults.add(Fault("POST", ":cancel$", kind))  # type: ignore[arg-type]
    still.faults.add(Fault("DELETE", "/batchInferenceJobs/", kind))  # type: ignore[arg-type]

    async def run(client: FireworksClient) -> Snapshot:
        return await cancel(client, await submit_running(client, still, tmp_path))

    assert with_client(still, run).phase in (Phase.CANCELLING, Phase.CANCELLED)


@pytest.mark.parametrize("end", ["JOB_STATE_COMPLETED", "JOB_STATE_CANCELLING"])
def test_a_job_that_ends_in_that_moment_is_no_error(tmp_path: Path, end: str) -> None:
    refusal = {"code": 9, "message": "cannot be cancelled", "details": []}
    with still_emulator(cancel_route=True) as emulator:

        async def run(client: FireworksClient) -> Snapshot:
            batch = await submit_running(client, emulator, tmp_path)
            emulator.faults.add(Fault("POST", "-0:cancel$", status=400, body=refusal))
            # What is seen before the cancellation is older than what is seen after it.
            jobs = await jobs_as_sent(client)
            [old] = [job for job in jobs if job["name"].endswith(f"/{batch}-0")]
            emulator.faults.add(Fault("GET", "-0$", "garbage", body=old))
            emulator.set_job(f"{batch}-0", state=end)
            return await cancel(client, batch)

        assert with_client(emulator, run).jobs[0].state == end


def test_a_refusal_to_cancel_is_told(tmp_path: Path) -> None:
    refusal = {"code": 9, "message": "not now", "details": []}
    with still_emulator(cancel_route=True) as emulator:
        emulator.faults.add(Fault("POST", ":cancel$", status=400, body=refusal))

        async def run(client: FireworksClient) -> Snapshot:
            return await cancel(client, await submit_running(client, emulator, tmp_path))

        with pytest.raises(InvalidRequestError, match="not now"):
            with_client(emulator, run)


def test_a_job_that_others_made_may_be_gone_without_a_trace(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> Snapshot:
            await make_ready_dataset(client, "theirs", 3, tmp_path)
            fields = {"model": MODEL, "inputDatasetId": client.datasets.name("theirs")}
            await client.jobs.create("their-job", fields)
            emulator.faults.add(Fault("GET", "their-job$", status=404, after=1))
            return await cancel(client, "their-job")

        snapshot = with_client(emulator, run)
    assert snapshot.phase is Phase.CANCELLED


def test_no_such_batch(emulator: Emulator) -> None:
    with pytest.raises(NotFoundError, match="no batch oumi-aaaaaaaaaaaaaaaa"):
        with_client(emulator, lambda client: cancel(client, "oumi-aaaaaaaaaaaaaaaa"))
