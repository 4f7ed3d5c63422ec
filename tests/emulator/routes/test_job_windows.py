"""How long jobs may take, what they show meanwhile, and how one continues another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator, Pace
from tests.emulator.routes.test_jobs import IDS, ROWS, RUNNING, UNTIL_RUNNING, ids_in
from tests.emulator.service import MODEL, Service, jsonl, message_of, row


@pytest.mark.parametrize("hours", [12, 24, 48, 72])
def test_a_job_expires_at_the_end_of_its_window(hours: int) -> None:
    with Emulator(speed=0, pace=Pace(running=100 * 3600)) as emulator:
        service = Service(emulator)
        service.ready_dataset(ROWS)
        made = service.create_job(maxJobDuration=f"{hours * 3600}s").json()
        assert made["maxJobDuration"] == f"{hours * 3600}s"
        emulator.clock.advance(hours * 3600 - 1)
        assert service.state() == "RUNNING"
        emulator.clock.advance(1)
        assert service.state() == "EXPIRED"
        assert 0 < len(service.results()) < len(ROWS)
        service.close()


@pytest.mark.parametrize("window", ["48h", "3600s", "172801s", "-86400s", 172800, "s", ""])
def test_a_window_is_a_duration_that_the_service_offers(service: Service, window: Any) -> None:
    service.ready_dataset(ROWS)
    complaint = message_of(service.create_job(maxJobDuration=window), 400, 3)
    assert "maxJobDuration" in complaint or "max_job_duration" in complaint
    assert service.create_job(maxJobDuration=None).json()["maxJobDuration"] is None


def test_totals_are_0_early_in_running(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    service.emulator.clock.advance(UNTIL_RUNNING + 1)
    progress = service.job()["jobProgress"]
    assert (service.state(), progress["totalInputRequests"]) == ("RUNNING", 0)


def test_a_job_has_the_captured_fields(service: Service) -> None:
    service.ready_dataset(ROWS)
    made = service.create_job(inferenceParameters={"maxTokens": 5}).json()
    assert made["inferenceParameters"] == {"extraBody": "{}", "maxTokens": 5}
    assert service.create_job("other", output="two").json()["inferenceParameters"] == {
        "extraBody": "{}"
    }
    assert service.get("/batchInferenceJobs/none").json()["message"] == "resource not found"


def test_a_continuation_runs_what_failed_too(service: Service) -> None:
    service.finished_job([row(0), row(1, "[[flaky]]")])
    assert ids_in(service.results()) == ["request-0"]
    name = service.name("batchInferenceJobs", "job")
    service.create_job("second", output="two", continuedFromJobName=name).raise_for_status()
    service.emulator.clock.advance(600)
    assert ids_in(service.results("two")) == ["request-1"]


def test_states_and_progress_are_updated_once_a_minute() -> None:
    with Emulator(speed=60, pace=Pace(validating=30, pending=0, creating=0)) as emulator:
        service = Service(emulator)
        service.ready_dataset(ROWS)
        before = emulator.clock.now()
        service.create_job().raise_for_status()
        while service.state() == "VALIDATING":
            assert emulator.clock.now() < before + 30
        assert emulator.clock.now() >= before + 1
        service.close()


def test_a_prompt_of_token_ids_goes_without_a_system_prompt(service: Service) -> None:
    tokens = {"custom_id": "request-1", "body": {"prompt_token_ids": [1, 2, 3]}}
    service.finished_job([row(0), tokens], systemPrompt="Be brief.")
    assert ids_in(service.results()) == ["request-0"]
    assert "cannot be combined" in service.errors()[0]["error"]["message"]
    service.create_job("second", output="two").raise_for_status()
    service.emulator.clock.advance(600)
    usage = {
        each["custom_id"]: each["response"]["usage"]["prompt_tokens"]
        for each in service.results("two")
    }
    assert usage["request-1"] == 3


def test_a_job_continues_another_with_what_that_did_not_finish(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job("first", output="one")
    service.emulator.clock.advance(UNTIL_RUNNING + RUNNING / 2)
    service.emulator.set_job("first", "JOB_STATE_EXPIRED")
    name = service.name("batchInferenceJobs", "first")
    made = service.post(
        "/batchInferenceJobs",
        {"continuedFromJobName": name, "outputDatasetId": service.name("datasets", "two")},
        batchInferenceJobId="second",
    )
    assert made.json()["continuedFromJobName"] == name
    assert made.json()["model"] == MODEL
    service.emulator.clock.advance(600)
    first, second = ids_in(service.results("one")), ids_in(service.results("two"))
    assert first
    assert second
    assert sorted(first + second) == sorted(IDS)
    lineage = service.urls("two", downloadLineage="true")
    assert {"dataset/one/BIJOutputSet.jsonl", "dataset/two/BIJOutputSet.jsonl"} <= lineage.keys()


def test_a_job_continues_another_whose_results_are_odd(service: Service) -> None:
    odd = b'[]\n5\n{"outcome": "refused"}\n{"custom_id": 7}\nhalf {\n'
    service.emulator.output_writer = lambda _job, rows: {"odd.jsonl": odd + jsonl(rows[:5])}
    service.finished_job(ROWS)
    kept = service.files()["odd.jsonl"].removeprefix(odd).split(b"\n")[:-1]
    service.emulator.output_writer = None
    name = service.name("batchInferenceJobs", "job")
    service.create_job("second", output="two", continuedFromJobName=name).raise_for_status()
    service.emulator.clock.advance(600)
    done = {json.loads(line)["custom_id"] for line in kept}
    assert len(done) == 5
    assert sorted(ids_in(service.results("two"))) == sorted(set(IDS) - done)


def test_only_a_job_that_ended_can_be_continued(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    name = service.name("batchInferenceJobs", "job")
    again = service.create_job("second", output="two", continuedFromJobName=name)
    assert "has not ended" in message_of(again, 400, 9)
