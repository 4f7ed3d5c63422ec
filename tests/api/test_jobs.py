"""Batch inference jobs: their calls, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import FireworksClient, Job, Page, Phase, Progress, every, phase_of
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    ConflictError,
    ConnectionFailedError,
    FireworksError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
)
from tests.api.support import MODEL, jobs_as_sent, make_ready_dataset, with_client

PHASES = {
    "UNSPECIFIED": Phase.VALIDATING,
    "VALIDATING": Phase.VALIDATING,
    "CREATING_INPUT_DATASET": Phase.VALIDATING,
    "PENDING": Phase.WAITING,
    "CREATING": Phase.WAITING,
    "RE_QUEUEING": Phase.WAITING,
    "IDLE": Phase.WAITING,
    "PAUSED": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "WRITING_RESULTS": Phase.FINALIZING,
    "COMPLETED": Phase.COMPLETED,
    "FAILED": Phase.FAILED,
    "EXPIRED": Phase.EXPIRED,
    "EARLY_STOPPED": Phase.EXPIRED,
    "CANCELLING": Phase.CANCELLING,
    "CANCELLED": Phase.CANCELLED,
    "DELETING": Phase.CANCELLED,
    "DELETING_CLEANING_UP": Phase.CANCELLED,
    "DELETED": Phase.CANCELLED,
    "ARCHIVED": Phase.CANCELLED,
}
ENDS = {Phase.COMPLETED, Phase.FAILED, Phase.EXPIRED, Phase.CANCELLED}


async def create(client: FireworksClient, job_id: str, folder: Path) -> Job:
    """A job of three rows."""
    await make_ready_dataset(client, f"{job_id}-in", 3, folder)
    fields = {
        "model": MODEL,
        "displayName": "A test",
        "inputDatasetId": client.datasets.name(f"{job_id}-in"),
        "outputDatasetId": client.datasets.name(f"{job_id}-out"),
    }
    return await client.jobs.create(job_id, fields)


@pytest.mark.parametrize(("state", "phase"), PHASES.items())
def test_every_state_has_its_phase(state: str, phase: Phase) -> None:
    assert phase_of(f"JOB_STATE_{state}") is phase
    assert phase_of(state) is phase
    assert phase.is_terminal == (phase in ENDS)


@pytest.mark.parametrize("state", ["JOB_STATE_", "JOB_STATE_BRAND_NEW", "", "completed"])
def test_an_unknown_state_is_taken_for_a_job_at_work(state: str) -> None:
    assert phase_of(state) is Phase.RUNNING
    assert not phase_of(state).is_terminal


def test_every_state_arrives_as_it_was_sent(emulator: Emulator, tmp_path: Path) -> None:
    with_client(emulator, lambda client: create(client, "a-job", tmp_path))
    moving = [state for state, phase in PHASES.items() if not phase.is_terminal]
    ends = ["COMPLETED", "EXPIRED", "EARLY_STOPPED", "FAILED", "CANCELLED", "ARCHIVED", "DELETING"]
    for state in [*moving, *ends]:
        emulator.set_job("a-job", state=f"JOB_STATE_{state}", message=f"because of {state}")
        job = with_client(emulator, lambda client: client.jobs.get("a-job"))
        assert job.state == f"JOB_STATE_{state}"
        assert job.phase is PHASES[state]
        assert job.message == f"because of {state}"


def test_a_job_just_made_has_neither_progress_nor_lifecycle(tmp_path: Path) -> None:
    with Emulator(speed=0) as emulator:

        async def make(client: FireworksClient) -> tuple[Job, dict[str, Any]]:
            await make_ready_dataset(client, "in", 3, tmp_path, clock=emulator.clock)
            fields = {"model": MODEL, "inputDatasetId": client.datasets.name("in")}
            job = await client.jobs.create("a-job", fields)
            [sent] = await jobs_as_sent(client)
            return job, sent

        job, sent = with_client(emulator, make)
    assert sent["lifecycle"] is None
    assert sent["jobProgress"] is None
    assert job.progress == Progress()
    assert (job.validated, job.started, job.ended) == (None, None, None)
    assert job.id == "a-job"
    assert job.name == "accounts/emulator/batchInferenceJobs/a-job"
    assert job.state == "JOB_STATE_VALIDATING"
    assert job.model == MODEL
    assert job.created is not None
    assert job.created.tzinfo is UTC
    assert job.expires == job.created + timedelta(hours=24)


@pytest.mark.parametrize("numbers_as_strings", [False, True])
def test_a_finished_job_tells_all(tmp_path: Path, numbers_as_strings: bool) -> None:
    with Emulator(speed=0, numbers_as_strings=numbers_as_strings) as emulator:

        async def run(client: FireworksClient) -> tuple[Job, Job]:
            await make_ready_dataset(client, "in", 3, tmp_path, clock=emulator.clock)
            fields = {
                "model": MODEL,
                "displayName": "A test",
                "inputDatasetId": client.datasets.name("in"),
                "outputDatasetId": client.datasets.name("out"),
            }
            await client.jobs.create("a-job", fields)
            emulator.clock.advance(100)
            waiting = await client.jobs.get("a-job")
            emulator.clock.advance(1000)
            return waiting, await client.jobs.get("a-job")

        waiting, done = with_client(emulator, run)
    assert waiting.state == "JOB_STATE_PENDING"
    assert waiting.waiting_on_capacity
    assert waiting.validated is not None
    assert waiting.started is None
    assert done.state == "JOB_STATE_COMPLETED"
    assert not done.waiting_on_capacity
    assert done.display_name == "A test"
    assert done.input_dataset == "accounts/emulator/datasets/in"
    assert done.output_dataset == "accounts/emulator/datasets/out"
    assert done.started is not None
    assert done.ended is not None
    assert done.validated is not None
    assert done.validated < done.started < done.ended
    assert done.progress.percent == 100
    assert (done.progress.total, done.progress.processed, done.progress.succeeded) == (3, 3, 3)
    assert done.progress.failed == 0
    assert done.progress.input_tokens > 0
    assert done.progress.output_tokens > 0
    assert done.window in (None, timedelta(hours=24))


def test_whatever_the_service_sends_is_kept_and_nothing_of_it_is_needed() -> None:
    job = Job.parse(
        {
            "name": "accounts/a/batchInferenceJobs/j",
            "state": "JOB_STATE_BRAND_NEW",
            "status": None,
            "lifecycle": None,
            "jobProgress": None,
            "createTime": "not a time",
            "brandNew": {"field": 1},
        }
    )
    assert job.id == "j"
    assert job.state == "JOB_STATE_BRAND_NEW"
    assert job.created is None
    nothing = Job.parse({})
    assert nothing.state == "JOB_STATE_UNSPECIFIED"
    assert nothing.progress == Progress()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, Progress()),
        ({"totalInputRequests": "10"}, Progress(total=10)),
        (
            {"totalInputRequests": "10", "totalProcessedRequests": "12", "percent": 90},
            Progress(percent=90, total=12, processed=12),
        ),
        (
            {"successfullyProcessedRequests": 3, "failedRequests": "2"},
            Progress(total=5, processed=5, succeeded=3, failed=2),
        ),
        (
            {"inputTokens": "9007199254740993", "outputTokens": 2, "cachedInputTokenCount": "1"},
            Progress(input_tokens=9007199254740993, output_tokens=2, cached_tokens=1),
        ),
    ],
)
def test_the_number_of_rows_is_the_larger_of_declared_and_processed(
    raw: dict[str, object], expected: Progress
) -> None:
    assert Progress.parse(raw) == expected


def test_an_id_that_is_taken_is_a_conflict_and_the_job_is_there(
    emulator: Emulator, tmp_path: Path
) -> None:
    async def twice(client: FireworksClient) -> Job:
        made = await create(client, "a-job", tmp_path)
        with pytest.raises(ConflictError, match="already exists") as caught:
            await client.jobs.create(
                "a-job", {"model": MODEL, "inputDatasetId": made.input_dataset}
            )
        assert caught.value.status == 409
        return await client.jobs.get("a-job")

    assert with_client(emulator, twice).input_dataset == "accounts/emulator/datasets/a-job-in"
    assert len(emulator.jobs) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [("lost_answer", ConnectionFailedError), ("truncated_json", MalformedAnswerError)],
)
def test_a_create_is_sent_once_and_told_as_a_conflict_the_next_time(
    emulator: Emulator, tmp_path: Path, kind: Any, error: type[FireworksError]
) -> None:
    emulator.faults.add(Fault(method="POST", path="batchInferenceJobs", kind=kind))
    with pytest.raises(error):
        with_client(emulator, lambda client: create(client, "a-job", tmp_path))
    with pytest.raises(ConflictError):
        with_client(emulator, lambda client: client.jobs.create("a-job", {"model": MODEL}))
    assert [job.id for job in emulator.jobs] == ["a-job"]


def test_no_such_job(emulator: Emulator) -> None:
    with pytest.raises(NotFoundError, match="not found"):
        with_client(emulator, lambda client: client.jobs.get("no-such-job"))
    with pytest.raises(NotFoundError):
        with_client(emulator, lambda client: client.jobs.delete("no-such-job"))
    with pytest.raises(NotFoundError):
        with_client(emulator, lambda client: client.jobs.cancel("no-such-job"))


def test_an_unknown_field_is_refused_in_the_service_s_words(emulator: Emulator) -> None:
    with pytest.raises(InvalidRequestError, match="unknown field"):
        with_client(emulator, lambda client: client.jobs.create("a-job", {"modle": MODEL}))


@pytest.mark.parametrize("body", [None, "<html>not found</html>"], ids=["json", "html"])
@pytest.mark.parametrize("status", [None, 404, 405, 501])
def test_cancel_deletes_where_there_is_no_such_route(
    emulator: Emulator, tmp_path: Path, status: int | None, body: str | None
) -> None:
    if status:
        emulator.faults.add(Fault(path=":cancel", status=status, body=body))

    async def stop(client: FireworksClient) -> None:
        await create(client, "a-job", tmp_path)
        await client.jobs.cancel("a-job")

    with_client(emulator, stop)
    assert [each.status for each in emulator.requests_to("POST", ":cancel")] == [status or 404]
    assert [each.status for each in emulator.requests_to("DELETE", "a-job$")] == [200]
    assert emulator.jobs[0].state in (
        "JOB_STATE_DELETING",
        "JOB_STATE_DELETING_CLEANING_UP",
        "JOB_STATE_DELETED",
    )


def test_cancel_uses_the_route_where_there_is_one(tmp_path: Path) -> None:
    with Emulator(cancel_route=True) as emulator:

        async def stop(client: FireworksClient) -> Phase:
            await create(client, "a-job", tmp_path)
            await client.jobs.cancel("a-job")
            return (await client.jobs.get("a-job")).phase

        assert with_client(emulator, stop) in (Phase.CANCELLING, Phase.CANCELLED)
        assert emulator.requests_to("DELETE") == []


def test_pages_hold_every_job_once_newest_first(emulator: Emulator, tmp_path: Path) -> None:
    async def fill(client: FireworksClient) -> list[list[str]]:
        await make_ready_dataset(client, "in", 1, tmp_path)
        for number in range(7):
            fields = {"model": MODEL, "inputDatasetId": client.datasets.name("in")}
            await client.jobs.create(f"job-{number}", fields)
        pages, token = [], ""
        while True:
            page = await client.jobs.page(token, size=3)
            assert page.total == 7
            pages.append([job.id for job in page.items])
            token = page.next_token
            if not token:
                return pages

    pages = with_client(emulator, fill)
    assert pages == [["job-6", "job-5", "job-4"], ["job-3", "job-2", "job-1"], ["job-0"]]

    async def all_of_them(client: FireworksClient) -> list[str]:
        def in_twos(token: str) -> Awaitable[Page[Job]]:
            return client.jobs.page(token, size=2)

        return [job.id async for job in every(in_twos)]

    assert with_client(emulator, all_of_them) == [f"job-{number}" for number in range(6, -1, -1)]


def test_a_list_that_leads_to_itself_ends(emulator: Emulator) -> None:
    body = {"batchInferenceJobs": [{"name": "a"}], "nextPageToken": "again"}
    emulator.faults.add(Fault(kind="garbage", body=body, times=None))

    async def count(client: FireworksClient) -> int:
        return len([job async for job in every(client.jobs.page)])

    assert with_client(emulator, count) == 2


def test_nanoseconds_are_cut(emulator: Emulator, tmp_path: Path) -> None:
    job = with_client(emulator, lambda client: create(client, "a-job", tmp_path))
    text = with_client(emulator, jobs_as_sent)[0]["createTime"]
    assert len(text) == len("2026-08-30T03:48:56.029803417Z")
    assert job.created == datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)


@pytest.mark.parametrize("wrong", [{"name": "accounts/emulator/batchInferenceJobs/b"}, {}])
@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_an_answer_about_another_job_is_asked_for_again(
    emulator: Emulator, tmp_path: Path, wrong: dict[str, str], times: int | None
) -> None:
    async def run(client: FireworksClient) -> str:
        await create(client, "a-job", tmp_path)
        emulator.faults.add(Fault("GET", "a-job$", "garbage", body=wrong, times=times))
        return (await client.jobs.get("a-job")).id

    if times:
        assert with_client(emulator, run) == "a-job"
        assert len(emulator.requests_to("GET", "a-job$")) == 2
    else:
        with pytest.raises(MalformedAnswerError, match="asked for a-job, and sent"):
            with_client(emulator, run)


def test_a_job_that_is_made_under_another_name_is_not_taken_for_ours(
    emulator: Emulator, tmp_path: Path
) -> None:
    body = {"name": "accounts/emulator/batchInferenceJobs/theirs"}
    emulator.faults.add(Fault("POST", "batchInferenceJobs$", "garbage", body=body))
    with pytest.raises((ConflictError, MalformedAnswerError)):
        with_client(emulator, lambda client: create(client, "a-job", tmp_path))


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("CREATING_DEPENDENCIES", Phase.WAITING),
        ("FAILED_CLEANING_UP", Phase.FAILED),
        ("EXPIRED_CLEANING_UP", Phase.EXPIRED),
    ],
)
def test_states_that_only_the_gateway_knows_are_read(state: str, phase: Phase) -> None:
    assert phase_of(f"JOB_STATE_{state}") is phase
