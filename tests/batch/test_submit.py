"""Submission: every input before the first job, several uploads at once and no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from oumi_fireworks.api import DIRECT_UPLOAD_BYTES, FireworksClient
from oumi_fireworks.batch import ShardLimits, submit_new
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.uploads import provide_input
from oumi_fireworks.emulator import Fault
from oumi_fireworks.errors import AuthenticationError
from tests.api.support import with_client
from tests.batch.support import SPEC, source, still_emulator


async def submit(client: FireworksClient, folder: Path, concurrency: int) -> str:
    """Five jobs of one row."""
    return await submit_new(
        client,
        source(5)(),
        SPEC,
        folder=folder,
        limits=ShardLimits(max_rows=1),
        concurrency=concurrency,
    )


def test_all_inputs_are_in_place_before_the_first_job_is_made(tmp_path: Path) -> None:
    with still_emulator() as emulator:
        with_client(emulator, lambda client: submit(client, tmp_path, 2))
        paths = [f"{request.method} {request.path}" for request in emulator.requests]
        uploads = [number for number, path in enumerate(paths) if path.endswith(":upload")]
        jobs = [number for number, path in enumerate(paths) if path.endswith("InferenceJobs")]
        assert (len(uploads), len(jobs)) == (5, 5)
        assert max(uploads) < min(jobs)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_inputs_are_sent_at_once_than_allowed(tmp_path: Path, concurrency: int) -> None:
    at_work = most = 0
    with still_emulator() as emulator:
        with_client(emulator, lambda client: submit(client, tmp_path, concurrency))
        for request in emulator.requests:
            at_work += request.method == "POST" and request.path.endswith("/datasets")
            most = max(most, at_work)
            at_work -= request.method == "GET"  # found ready
    assert at_work == 0
    assert most <= concurrency


def test_an_upload_that_takes_long_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async def the_others(client: FireworksClient) -> None:
        submission = asyncio.create_task(submit(client, tmp_path, 2))
        ready = 0
        while ready < 4:
            assert not submission.done()
            states = [dataset.state for dataset in emulator.datasets]
            ready = states.count("READY")
            await asyncio.wait([submission], timeout=0.01)
        submission.cancel()
        await asyncio.wait([submission])

    with still_emulator() as emulator:
        stalled = Fault("POST", ":upload$", "stall")
        emulator.faults.add(stalled)
        with_client(emulator, the_others)
        assert emulator.faults.fired(stalled) == 1


def test_a_file_that_is_too_large_for_it_is_not_sent_straight_to_fireworks(tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    with large.open("wb") as file:
        file.truncate(DIRECT_UPLOAD_BYTES + 1)  # a hole, which takes no time to write
    job = PlannedJob("job", 1, large.stat().st_size, path=large)
    with still_emulator() as emulator:
        emulator.faults.add(Fault("POST", ":getUploadEndpoint$", status=403))
        with pytest.raises(AuthenticationError):
            with_client(emulator, lambda client: provide_input(client, job))
        assert emulator.requests_to("POST", ":upload$") == []
