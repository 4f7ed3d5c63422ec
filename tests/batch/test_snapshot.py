"""A batch is the sum of its jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import FireworksClient, Job, Phase, Progress
from oumi_fireworks.batch import ShardLimits, Snapshot, submit_new, take_snapshot
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import FireworksError, NotFoundError, ServerError
from tests.api.support import jobs_as_sent, with_client
from tests.batch.support import SPEC, remove_job, source

BEGIN = datetime(2026, 8, 30, 3, 48, 56, tzinfo=UTC)


def of(*states: str, **fields: Any) -> Snapshot:
    """A batch whose jobs are in these states."""
    return Snapshot(
        "b",
        tuple(
            Job(id=f"b-{number}", name="", state=f"JOB_STATE_{state}", **fields)
            for number, state in enumerate(states)
        ),
    )


@pytest.mark.parametrize(
    ("states", "phase", "state"),
    [
        ("COMPLETED", Phase.COMPLETED, "COMPLETED"),
        ("COMPLETED COMPLETED", Phase.COMPLETED, "COMPLETED"),
        ("RUNNING VALIDATING COMPLETED", Phase.VALIDATING, "VALIDATING"),
        ("RUNNING PENDING", Phase.WAITING, "PENDING"),
        ("RUNNING IDLE PENDING", Phase.WAITING, "IDLE"),
        ("WRITING_RESULTS RUNNING", Phase.RUNNING, "RUNNING"),
        ("COMPLETED WRITING_RESULTS", Phase.FINALIZING, "WRITING_RESULTS"),
        ("CANCELLING COMPLETED", Phase.CANCELLING, "CANCELLING"),
        ("CANCELLING RUNNING", Phase.RUNNING, "RUNNING"),
        ("FAILED RUNNING", Phase.RUNNING, "RUNNING"),
        ("FAILED BRAND_NEW", Phase.RUNNING, "BRAND_NEW"),
        ("COMPLETED FAILED EXPIRED CANCELLED", Phase.FAILED, "FAILED"),
        ("COMPLETED CANCELLED EXPIRED", Phase.EXPIRED, "EXPIRED"),
        ("COMPLETED EARLY_STOPPED", Phase.EXPIRED, "EARLY_STOPPED"),
        ("COMPLETED DELETING_CLEANING_UP", Phase.CANCELLED, "DELETING_CLEANING_UP"),
    ],
)
def test_the_least_advanced_job_speaks_then_the_worst_end(
    states: str, phase: Phase, state: str
) -> None:
    snapshot = of(*states.split())
    assert snapshot.phase is phase
    assert snapshot.state == f"JOB_STATE_{state}"
    assert snapshot.is_terminal == phase.is_terminal
    assert snapshot.is_failed == (phase is Phase.FAILED)


def test_rows_and_tokens_add_up_and_the_percentage_is_weighted() -> None:
    jobs = (
        Job("a", "", "JOB_STATE_RUNNING", progress=Progress(10, 100, 10, 8, 2, 7, 5, 1)),
        Job("b", "", "JOB_STATE_COMPLETED", progress=Progress(100, 300, 300, 300, 0, 3, 4, 2)),
        Job("c", "", "JOB_STATE_PENDING"),
    )
    progress = Snapshot("x", jobs).progress
    assert progress.percent == (10 * 100 + 100 * 300) // 401
    assert (progress.total, progress.processed) == (400, 310)
    assert (progress.succeeded, progress.failed) == (308, 2)
    assert (progress.input_tokens, progress.output_tokens, progress.cached_tokens) == (10, 9, 3)
    assert of("PENDING").progress == Progress()


def test_the_error_names_the_jobs_unless_it_is_that_of_all() -> None:
    assert of("COMPLETED", message="not an error").error is None
    assert of("RUNNING").error is None
    assert of("FAILED", message="bad row").error == "bad row"
    assert of("FAILED").error == "the job ended as JOB_STATE_FAILED"
    assert of("EXPIRED").error == "the job ended as JOB_STATE_EXPIRED"
    assert of("CANCELLED").error is None
    assert of("CANCELLED", message="by somebody").error == "by somebody"
    both = of("FAILED", "COMPLETED", "EARLY_STOPPED", message="why").error
    assert both == "b-0, b-2: why"
    assert of("FAILED", "FAILED", message="why").error == "why"


def test_times_are_those_of_the_first_and_the_last() -> None:
    def job(number: int, **fields: Any) -> Job:
        return Job(
            f"b-{number}",
            "",
            "JOB_STATE_COMPLETED",
            created=BEGIN + timedelta(seconds=number),
            expires=BEGIN + timedelta(days=1, seconds=number),
            **fields,
        )

    hour = timedelta(hours=1)
    jobs = (
        job(1, started=BEGIN + 2 * hour, ended=BEGIN + 3 * hour, updated=BEGIN + 9 * hour),
        job(0, started=BEGIN + hour, updated=BEGIN + 4 * hour),
        job(2),
    )
    snapshot = Snapshot("b", jobs)
    assert snapshot.created == BEGIN
    assert snapshot.started == BEGIN + hour
    assert snapshot.expires == BEGIN + timedelta(days=1)
    assert snapshot.ended == BEGIN + 4 * hour
    assert of("RUNNING", updated=BEGIN).ended is None
    nothing = of("COMPLETED")
    assert (nothing.created, nothing.started, nothing.expires, nothing.ended) == (None,) * 4


def test_waiting_on_capacity_is_told_when_any_job_does() -> None:
    waits = Job("a", "", "JOB_STATE_PENDING", waiting_on_capacity=True)
    runs = Job("b", "", "JOB_STATE_RUNNING")
    assert Snapshot("x", (runs, waits)).waiting_on_capacity
    assert not Snapshot("x", (runs,)).waiting_on_capacity


#
# Taken over HTTP
#


async def submit(client: FireworksClient, folder: Path, rows: int = 3) -> str:
    """Two jobs."""
    return await submit_new(
        client, source(rows)(), SPEC, folder=folder, limits=ShardLimits(max_rows=2), concurrency=2
    )


def test_an_id_is_enough(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> Snapshot:
        batch = await submit(client, tmp_path)
        for job in emulator.jobs:
            emulator.set_job(job.id, state="JOB_STATE_RUNNING")
        return await take_snapshot(client, f"accounts/emulator/batchInferenceJobs/{batch}")

    snapshot = with_client(emulator, run)
    assert [job.id for job in snapshot.jobs] == [f"{snapshot.batch_id}-0", f"{snapshot.batch_id}-1"]
    assert snapshot.phase is Phase.RUNNING


def test_the_rows_are_known_before_there_is_progress(tmp_path: Path) -> None:
    with Emulator() as emulator:

        async def run(client: FireworksClient) -> tuple[Snapshot, list[dict[str, Any]]]:
            batch = await submit(client, tmp_path)
            for job in emulator.jobs:
                emulator.set_job(job.id, state="JOB_STATE_VALIDATING")
            return await take_snapshot(client, batch), await jobs_as_sent(client)

        snapshot, sent = with_client(emulator, run)
    assert [job["jobProgress"] for job in sent] == [None, None]
    assert snapshot.progress.total == 3


def test_a_job_that_is_gone_counts_as_cancelled_while_its_input_is_there(
    emulator: Emulator, tmp_path: Path
) -> None:
    async def run(client: FireworksClient) -> tuple[Snapshot, Snapshot]:
        batch = await submit(client, tmp_path)
        emulator.set_job(f"{batch}-0", state="JOB_STATE_COMPLETED")
        await remove_job(client, f"{batch}-1")
        one = await take_snapshot(client, batch)
        await remove_job(client, f"{batch}-0")
        return one, await take_snapshot(client, batch)

    one, both = with_client(emulator, run)
    assert [job.phase for job in one.jobs] == [Phase.COMPLETED, Phase.CANCELLED]
    assert one.phase is Phase.CANCELLED
    assert one.error is not None
    assert f"{one.batch_id}-1: Fireworks no longer has this job" in one.error
    assert both.phase is Phase.CANCELLED
    assert both.progress.total == 3
    assert both.created is not None
    assert both.jobs[0].output_dataset == f"accounts/emulator/datasets/{one.batch_id}-0-out"


@pytest.mark.parametrize("batch", ["oumi-aaaaaaaaaaaaaaaa", "oumi-aaaaaaaaaaaaaaaa-x3", "theirs"])
def test_no_such_batch(emulator: Emulator, batch: str) -> None:
    with pytest.raises(NotFoundError, match=f"no batch {batch} on this account") as caught:
        with_client(emulator, lambda client: take_snapshot(client, batch))
    assert caught.value.status == 404


def test_a_dataset_of_that_name_does_not_make_a_foreign_job(
    emulator: Emulator, tmp_path: Path
) -> None:
    async def run(client: FireworksClient) -> Snapshot:
        await client.datasets.create("theirs-in", example_count=1)
        return await take_snapshot(client, "theirs")

    with pytest.raises(NotFoundError):
        with_client(emulator, run)


def test_one_job_that_cannot_be_seen_fails_the_look(emulator: Emulator, tmp_path: Path) -> None:
    async def run(client: FireworksClient) -> Snapshot:
        batch = await submit(client, tmp_path)
        emulator.faults.add(Fault("GET", "-x2-1$", status=503, times=None))
        return await take_snapshot(client, batch)

    with pytest.raises(ServerError) as caught:
        with_client(emulator, run)
    assert isinstance(caught.value, FireworksError)


def test_what_cannot_be_an_id_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="not a batch id"):
        with_client(emulator, lambda client: take_snapshot(client, "../accounts"))
    assert emulator.requests == []
