"""Datasets of ours that nobody needs any more, and no others."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oumi_fireworks.api import Consistency, FireworksClient
from oumi_fireworks.batch import ShardLimits, submit_new
from oumi_fireworks.batch.cleanup import Leftover, delete_by_id, delete_datasets, find_leftovers
from oumi_fireworks.emulator import Emulator, Fault
from tests.api.support import (
    MODEL,
    connection,
    jobs_as_sent,
    make_ready_dataset,
    with_client,
)
from tests.batch.support import SPEC, remove_job, source, still_emulator

STEM = "oumi-aaaaaaaaaaaaaaaa"


async def submit(client: FireworksClient, folder: Path) -> str:
    """Two jobs."""
    return await submit_new(
        client, source(4)(), SPEC, folder=folder, limits=ShardLimits(max_rows=2), concurrency=2
    )


def ids(leftovers: list[Leftover]) -> list[str]:
    return sorted(leftover.dataset.id for leftover in leftovers)


def test_what_jobs_at_work_use_is_spared_and_what_others_made_too(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> tuple[str, list[Leftover]]:
            batch = await submit(client, tmp_path)
            emulator.set_job(f"{batch}-0", state="JOB_STATE_COMPLETED")
            emulator.set_job(f"{batch}-1", state="JOB_STATE_RUNNING")
            for foreign in ("mine", "mine-in", "oumi-in", f"{STEM}-input"):
                await client.datasets.create(foreign, example_count=1)
            await client.datasets.create(f"{STEM}-in", example_count=1)  # of a broken submission
            return batch, await find_leftovers(client, young=timedelta(0))

        batch, found = with_client(emulator, run)
    assert ids(found) == sorted([f"{STEM}-in", f"{batch}-0-in", f"{batch}-0-out"])
    assert {leftover.dataset.id: leftover.job_id for leftover in found}[f"{STEM}-in"] == STEM


@pytest.mark.parametrize(
    "state", ["JOB_STATE_VALIDATING", "JOB_STATE_PAUSED", "JOB_STATE_WRITING_RESULTS", "BRAND_NEW"]
)
def test_every_job_that_has_not_ended_is_at_work(tmp_path: Path, state: str) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> list[Leftover]:
            batch = await submit(client, tmp_path)
            if state == "BRAND_NEW":
                jobs = await jobs_as_sent(client)
                for job in jobs:
                    job["state"] = "JOB_STATE_BRAND_NEW"
                body = {"batchInferenceJobs": jobs}
                emulator.faults.add(Fault("GET", "/batchInferenceJobs$", "garbage", body=body))
            else:
                for number in range(2):
                    emulator.set_job(f"{batch}-{number}", state=state)
            return await find_leftovers(client)

        assert with_client(emulator, run) == []


def test_a_job_that_others_made_spares_the_dataset_of_ours_that_it_reads(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> list[Leftover]:
            await make_ready_dataset(client, f"{STEM}-in", 1, tmp_path)
            fields = {"model": MODEL, "inputDatasetId": client.datasets.name(f"{STEM}-in")}
            await client.jobs.create("their-job", fields)
            return await find_leftovers(client)

        assert with_client(emulator, run) == []


def test_what_a_continuation_reads_is_spared_though_it_names_no_input(tmp_path: Path) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> tuple[str, list[Leftover]]:
            first = await submit(client, tmp_path)
            ended, other = f"{first}-0", f"{first}-1"
            for job_id in (ended, other):
                emulator.set_job(job_id, state="JOB_STATE_EXPIRED")
            fields = {"continuedFromJobName": client.jobs.name(ended)}
            await client.jobs.create("once-more", fields)
            emulator.set_job("once-more", state="JOB_STATE_EXPIRED")
            await client.jobs.create(
                "and-again", {"continuedFromJobName": client.jobs.name("once-more")}
            )
            jobs = await jobs_as_sent(client)
            for job in jobs:
                if job["continuedFromJobName"]:
                    job["inputDatasetId"] = ""
            body = {"batchInferenceJobs": jobs}
            emulator.faults.add(Fault("GET", "/batchInferenceJobs$", "garbage", body=body))
            return first, await find_leftovers(client)

        first, found = with_client(emulator, run)
    assert ids(found) == [f"{first}-0-out", f"{first}-1-in", f"{first}-1-out"]


def test_jobs_on_later_pages_are_seen(emulator: Emulator, tmp_path: Path) -> None:
    page = {"batchInferenceJobs": [], "nextPageToken": ""}

    async def run(client: FireworksClient) -> list[Leftover]:
        await submit(client, tmp_path)
        for job in emulator.jobs:
            emulator.set_job(job.id, state="JOB_STATE_RUNNING")
        jobs = await jobs_as_sent(client)
        for number, raw in enumerate(jobs):
            body = {**page, "batchInferenceJobs": [raw], "nextPageToken": "more" * (number == 0)}
            emulator.faults.add(Fault("GET", "/batchInferenceJobs$", "garbage", body=body))
        return await find_leftovers(client)

    assert with_client(emulator, run) == []


def test_only_those_made_before_a_moment(emulator: Emulator) -> None:
    async def run(client: FireworksClient) -> list[list[str]]:
        await client.datasets.create(f"{STEM}-in", example_count=1)
        emulator.clock.advance(3600)
        await client.datasets.create(f"{STEM}-out", example_count=1)
        now = datetime.fromtimestamp(emulator.clock.now(), UTC)
        moments = [None, now - timedelta(minutes=30), now - timedelta(hours=2)]
        return [
            ids(await find_leftovers(client, moment, young=timedelta(days=-1)))
            for moment in moments
        ]

    assert with_client(emulator, run) == [[f"{STEM}-in", f"{STEM}-out"], [f"{STEM}-in"], []]


@pytest.mark.parametrize("listed", [[], ["-x2-0"]], ids=["none", "one"])
def test_a_list_that_lags_does_not_cost_a_job_its_input(tmp_path: Path, listed: list[str]) -> None:
    with still_emulator() as emulator:

        async def run(client: FireworksClient) -> list[Leftover]:
            await submit(client, tmp_path)
            jobs = await jobs_as_sent(client)
            seen = [job for job in jobs if any(job["name"].endswith(end) for end in listed)]
            body = {"batchInferenceJobs": seen, "nextPageToken": ""}
            emulator.faults.add(Fault("GET", "/batchInferenceJobs$", "garbage", body=body))
            emulator.faults.add(Fault("GET", "/batchInferenceJobs/", status=404, times=2))
            return await find_leftovers(client, datetime.now(UTC) + timedelta(seconds=5))

        assert with_client(connection(emulator, consistency=Consistency(3)), run) == []


def test_a_dataset_whose_job_may_be_on_its_way_is_spared(emulator: Emulator) -> None:
    async def run(client: FireworksClient) -> tuple[list[Leftover], list[Leftover]]:
        await client.datasets.create(f"{STEM}-in", example_count=1)
        soon = datetime.now(UTC) + timedelta(seconds=5)
        return (
            await find_leftovers(client, soon),
            await find_leftovers(client, soon, young=timedelta(0)),
        )

    spared, found = with_client(emulator, run)
    assert (ids(spared), ids(found)) == ([], [f"{STEM}-in"])


def test_an_account_without_any_is_not_asked_for_its_jobs(emulator: Emulator) -> None:
    assert with_client(emulator, find_leftovers) == []
    assert not emulator.requests_to("GET", "/batchInferenceJobs")


def test_removing_removes_inputs_and_outputs_and_minds_nothing_that_is_gone(
    emulator: Emulator, tmp_path: Path
) -> None:
    async def run(client: FireworksClient) -> None:
        batch = await submit(client, tmp_path)
        await remove_job(client, f"{batch}-0")
        emulator.set_job(f"{batch}-1", state="JOB_STATE_COMPLETED")
        await client.datasets.delete(f"{batch}-0-in")
        await delete_datasets(client, [f"{batch}-0", f"{batch}-1", "never-was"])

    with_client(emulator, run)
    assert len(emulator.datasets) == 4
    assert all(dataset.deleted for dataset in emulator.datasets)


def test_what_cannot_be_removed_is_told_and_the_rest_is_removed(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults.add(Fault("DELETE", "/datasets/b$", status=400))

    async def run(client: FireworksClient) -> int:
        for dataset in ("a", "b", "c"):
            await client.datasets.create(dataset, example_count=1)
        return await delete_by_id(client, ["a", "b", "c", "gone"])

    with caplog.at_level(logging.WARNING, logger="oumi_fireworks"):
        assert with_client(emulator, run) == 3
    assert "Could not remove the dataset b" in caplog.text
    assert [dataset.id for dataset in emulator.datasets if not dataset.deleted] == ["b"]
