"""Batch inference jobs: creation, life, results, deletion, cancelling."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator, Pace
from tests.emulator.service import MODEL, Service, jsonl, message_of, row

ROWS = [row(number, f"question {number}") for number in range(20)]
IDS = [each["custom_id"] for each in ROWS]
UNTIL_RUNNING = 330.0
RUNNING = 120.0


def ids_in(rows: list[dict[str, Any]]) -> list[str]:
    return [each["custom_id"] for each in rows]


def test_a_new_job_is_validating_and_knows_nothing_yet(service: Service) -> None:
    service.ready_dataset(ROWS)
    made = service.create_job(displayName="Mine").json()
    assert made["name"] == "accounts/emulator/batchInferenceJobs/job"
    assert made["state"] == "JOB_STATE_VALIDATING"
    assert made["status"] == {"code": "OK", "message": ""}
    assert made["displayName"] == "Mine"
    assert made["model"] == MODEL
    assert made["inputDatasetId"] == "accounts/emulator/datasets/input"
    assert made["outputDatasetId"] == "accounts/emulator/datasets/output"
    assert made["lifecycle"] is None
    assert made["jobProgress"] is None
    assert made["createTime"][:10] < made["expireTime"][:10]
    assert not made.keys() & {"startTime", "endTime", "totalRequests", "percentComplete"}


def test_it_goes_through_the_service_s_states(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    seen = []
    for _ in range(50):
        seen.append(service.state())
        service.emulator.clock.advance(10)
    assert list(dict.fromkeys(seen)) == [
        "VALIDATING",
        "PENDING",
        "CREATING",
        "RUNNING",
        "WRITING_RESULTS",
        "COMPLETED",
    ]


def test_waiting_for_capacity_shows(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    assert not service.job()["waitingOnCapacity"]
    service.emulator.clock.advance(60)
    assert service.job()["waitingOnCapacity"]


def test_progress_moves_while_it_runs(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    service.emulator.clock.advance(UNTIL_RUNNING - 1)
    assert service.job()["jobProgress"] is None
    service.emulator.clock.advance(1 + RUNNING / 2)
    progress = service.job()["jobProgress"]
    assert 0 < progress["totalProcessedRequests"] < 20
    assert progress["percent"] == 100 * progress["totalProcessedRequests"] // 20
    assert progress["successfullyProcessedRequests"] == progress["totalProcessedRequests"]
    assert progress["failedRequests"] == 0
    assert progress["inputTokens"] > 0
    assert service.job()["lifecycle"]["endTime"] is None
    service.emulator.clock.advance(RUNNING)
    done = service.job()
    assert done["state"] == "JOB_STATE_COMPLETED"
    assert done["jobProgress"]["percent"] == 100
    assert done["jobProgress"]["outputRows"] == 20
    times = done["lifecycle"]
    assert times["validatedTime"] < times["runStartTime"] < times["endTime"]
    assert service.job() == done


def test_the_total_is_what_the_dataset_declared(service: Service) -> None:
    service.create_dataset(count=7)
    service.upload(jsonl(ROWS))
    service.emulator.clock.advance(5)
    service.create_job()
    service.emulator.clock.advance(600)
    progress = service.job()["jobProgress"]
    assert progress["totalInputRequests"] == 7
    assert progress["totalProcessedRequests"] == 20


def test_numbers_may_come_as_strings() -> None:
    with Emulator(speed=0, numbers_as_strings=True) as emulator:
        service = Service(emulator)
        assert service.finished_job(ROWS)["jobProgress"]["outputRows"] == "20"
        service.close()


def test_each_row_is_answered_once_in_another_order(service: Service) -> None:
    service.finished_job(ROWS)
    results = service.results()
    assert sorted(ids_in(results)) == sorted(IDS)
    assert ids_in(results) != IDS
    for result in results:
        assert result.keys() == {"custom_id", "response"}
        assert result["response"]["object"] == "chat.completion"
        assert result["response"]["model"] == MODEL
        number = result["custom_id"].removeprefix("request-")
        said = result["response"]["choices"][0]["message"]["content"]
        assert said.endswith(f"You wrote: question {number}")
    assert service.errors() == []


def test_the_output_s_files_carry_their_path(service: Service) -> None:
    service.finished_job(ROWS)
    assert service.urls().keys() == {
        "dataset/output/BIJOutputSet.jsonl",
        "dataset/output/error-data",
    }
    output = service.get("/datasets/output").json()
    assert output["state"] == "READY"
    assert output["exampleCount"] == "20"
    assert output["sourceJobName"] == "accounts/emulator/batchInferenceJobs/job"
    assert "userUploaded" not in output


def test_there_is_no_output_before_the_end(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    service.emulator.clock.advance(UNTIL_RUNNING + 1)
    assert service.get("/datasets/output").status_code == 404


def test_large_output_comes_in_several_files() -> None:
    with Emulator(speed=0, result_file_bytes=2000) as emulator:
        service = Service(emulator)
        service.finished_job(ROWS)
        files = service.files()
        assert len(files) > 3
        assert all(len(content) <= 2000 for content in files.values())
        assert sorted(ids_in(service.results())) == sorted(IDS)
        counted = next(each for each in emulator.datasets if each.id == "output")
        assert counted.rows == 20
        service.close()


def test_ids_may_be_made_up_by_the_service(service: Service) -> None:
    service.ready_dataset(ROWS)
    made = service.post(
        "/batchInferenceJobs",
        {"model": MODEL, "inputDatasetId": "accounts/emulator/datasets/input"},
    ).json()
    assert made["name"].startswith("accounts/emulator/batchInferenceJobs/bij-")
    assert made["outputDatasetId"].startswith("accounts/emulator/datasets/bij-output-")


@pytest.mark.parametrize("name", ["batchInferenceJobId", "batch_inference_job_id"])
def test_the_id_may_be_spelled_both_ways(service: Service, name: str) -> None:
    service.ready_dataset(ROWS)
    body = {"model": MODEL, "input_dataset_id": "accounts/emulator/datasets/input"}
    made = service.post("/batchInferenceJobs", body, **{name: "mine"}).json()
    assert made["name"].endswith("/mine")


def test_a_repeated_creation_makes_no_second_job(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    assert "already exists" in message_of(service.create_job(output="other"), 409, 6)
    assert len(service.emulator.jobs) == 1


def test_an_output_must_be_new(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job("one", output="output")
    for taken in ("output", "input"):
        again = service.create_job("two", output=taken)
        assert "already exists" in message_of(again, 409, 6)
    assert "already exists" in message_of(service.create_dataset("output"), 409, 6)


@pytest.mark.parametrize(
    ("fields", "status", "code", "complaint"),
    [
        ({"model": "gpt-4"}, 400, 3, "invalid model"),
        ({"model": None}, 400, 3, "invalid model"),
        ({"model": "accounts/fireworks/models/does-not-exist"}, 404, 5, "not found"),
        ({"inputDatasetId": "input"}, 400, 3, "invalid resource name"),
        ({"inputDatasetId": "accounts/emulator/datasets/none"}, 404, 5, "not found"),
        ({"inputDatasetId": "accounts/other/datasets/input"}, 403, 7, "access"),
        ({"inputDatasetId": None}, 400, 3, "input_dataset_id is required"),
        ({"outputDatasetId": "output"}, 400, 3, "invalid resource name"),
        ({"rows": 3}, 400, 3, 'unknown field "rows"'),
        ({"precision": "FP3"}, 400, 3, "invalid precision"),
        ({"inferenceParameters": {"maxTokens": "x"}}, 400, 3, "maxTokens"),
        ({"inferenceParameters": {"extraBody": "{"}}, 400, 3, "inference_parameters"),
        ({"inferenceParameters": {"extraBody": "[]"}}, 400, 3, "JSON object"),
        ({"inferenceParameters": {"extraBody": '{"stop_token_ids": [1]}'}}, 400, 3, "Extra inputs"),
        ({"inferenceParameters": {"temperature": 3}}, 400, 3, "temperature"),
        ({"continuedFromJobName": "accounts/emulator/batchInferenceJobs/no"}, 404, 5, "not found"),
    ],
)
def test_what_is_wrong_with_a_creation_is_said(
    service: Service, fields: dict[str, Any], status: int, code: int, complaint: str
) -> None:
    service.ready_dataset(ROWS)
    assert complaint in message_of(service.create_job(**fields), status, code)
    assert service.emulator.jobs == []


def test_the_input_must_be_ready(service: Service) -> None:
    service.create_dataset()
    assert "not READY" in message_of(service.create_job(), 400, 9)
    content = jsonl(ROWS)
    service.put(service.upload_url(len(content)), content).raise_for_status()
    service.post("/datasets/input:validateUpload").raise_for_status()
    assert "not READY" in message_of(service.create_job(), 400, 9)


def test_after_a_direct_upload_a_job_may_be_created_at_once(service: Service) -> None:
    service.create_dataset(count=len(ROWS))
    service.upload(jsonl(ROWS)).raise_for_status()
    assert service.get("/datasets/input").json()["state"] == "UPLOADING"
    service.create_job().raise_for_status()
    service.emulator.clock.advance(600)
    assert len(service.results()) == len(ROWS)


def test_the_job_s_parameters_are_defaults_for_its_rows(service: Service) -> None:
    rows = [row(0, "[[words 50]]"), row(1, "[[words 50]]", max_tokens=7)]
    parameters = {"maxTokens": 3, "extraBody": '{"n": 2}'}
    service.finished_job(rows, inferenceParameters=parameters)
    assert service.job()["inferenceParameters"] == parameters
    answers = {each["custom_id"]: each["response"] for each in service.results()}
    assert answers["request-0"]["usage"]["completion_tokens"] == 2 * 3
    assert answers["request-1"]["usage"]["completion_tokens"] == 2 * 7


def test_the_system_prompt_goes_before_rows_without_one(service: Service) -> None:
    without, own = row(0, "hi"), row(1, "hi")
    own["body"]["messages"].insert(0, {"role": "system", "content": "x"})
    service.finished_job([without, own], systemPrompt="y" * 400)
    tokens = {
        each["custom_id"]: each["response"]["usage"]["prompt_tokens"] for each in service.results()
    }
    assert tokens["request-0"] > 100 > tokens["request-1"]


def test_the_model_is_the_job_s(service: Service) -> None:
    service.finished_job([row(0, model="accounts/fireworks/models/other")])
    assert service.results()[0]["response"]["model"] == MODEL


def test_a_too_large_max_tokens_is_clamped(service: Service) -> None:
    service.finished_job([row(0, max_tokens=10**9)])
    assert service.state() == "COMPLETED"


def test_a_model_without_batch_support_never_gets_out_of_pending(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job(model="accounts/fireworks/models/no-batch").raise_for_status()
    service.emulator.clock.advance(23 * 3600)
    assert service.state() == "PENDING"


def test_after_24_hours_it_expires_with_what_it_has() -> None:
    with Emulator(speed=0, pace=Pace(per_row=2 * 24 * 3600 / 20)) as emulator:
        service = Service(emulator)
        service.ready_dataset(ROWS)
        service.create_job()
        emulator.clock.advance(24 * 3600)
        assert service.state() == "EXPIRED"
        progress = service.job()["jobProgress"]
        assert 5 < progress["totalProcessedRequests"] < 15
        results = service.results()
        assert len(results) == progress["outputRows"]
        assert set(ids_in(results)) < set(IDS)
        service.close()


def test_at_the_output_limit_it_stops_early() -> None:
    with Emulator(speed=0, max_output_bytes=2000) as emulator:
        service = Service(emulator)
        service.finished_job(ROWS)
        assert service.state() == "EARLY_STOPPED"
        assert 0 < len(service.results()) < 20
        service.close()


def test_deleting_a_running_job_keeps_its_finished_rows(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    service.emulator.clock.advance(UNTIL_RUNNING + RUNNING / 2)
    assert service.delete("/batchInferenceJobs/job").json() == {}
    assert service.state() == "DELETING_CLEANING_UP"
    listed = service.get("/batchInferenceJobs").json()["batchInferenceJobs"]
    assert [each["state"] for each in listed] == ["JOB_STATE_DELETING_CLEANING_UP"]
    service.emulator.clock.advance(60)
    assert "not found" in message_of(service.get("/batchInferenceJobs/job"), 404, 5)
    assert 0 < len(service.results()) < 20
    (seen,) = service.emulator.jobs
    assert seen.state == "JOB_STATE_DELETED"


def test_a_job_that_is_deleted_between_two_updates_keeps_what_it_then_counts() -> None:
    with Emulator(speed=0, pace=Pace(updating=100_000)) as emulator:
        service = Service(emulator)
        service.ready_dataset(ROWS)
        service.create_job()
        emulator.clock.advance(UNTIL_RUNNING + RUNNING / 2)
        service.delete("/batchInferenceJobs/job")
        counted = int(service.job()["jobProgress"]["successfullyProcessedRequests"])
        emulator.clock.advance(60)
        assert 0 < counted == len(service.results())
        service.close()


def test_deleting_a_finished_job_leaves_its_output(service: Service) -> None:
    service.finished_job(ROWS)
    service.delete("/batchInferenceJobs/job")
    service.emulator.clock.advance(60)
    assert service.get("/batchInferenceJobs/job").status_code == 404
    assert len(service.results()) == 20
    assert service.create_job(output="another").status_code == 200


def test_an_id_is_free_again_only_once_the_job_is_gone(service: Service) -> None:
    service.finished_job(ROWS)
    service.delete("/batchInferenceJobs/job")
    assert service.create_job(output="another").status_code == 409


def test_there_is_no_cancel(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    assert message_of(service.post("/batchInferenceJobs/job:cancel"), 404, 5) == "Not Found"


def test_with_a_cancel_route_a_job_can_be_cancelled() -> None:
    with Emulator(speed=0, cancel_route=True) as emulator:
        service = Service(emulator)
        service.ready_dataset(ROWS)
        service.create_job()
        emulator.clock.advance(UNTIL_RUNNING + RUNNING / 2)
        assert service.post("/batchInferenceJobs/job:cancel").json() == {}
        assert service.state() == "CANCELLING"
        emulator.clock.advance(10)
        assert service.state() == "CANCELLED"
        assert 0 < len(service.results()) < 20
        again = service.post("/batchInferenceJobs/job:cancel")
        assert "cannot be cancelled" in message_of(again, 400, 9)
        assert message_of(service.post("/batchInferenceJobs/none:cancel"), 404, 5)
        service.close()


@pytest.mark.parametrize("state", ["EXPIRED", "EARLY_STOPPED", "CANCELLED"])
def test_an_end_by_hand_keeps_as_many_rows_as_it_is_told(service: Service, state: str) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    service.emulator.set_job("job", f"JOB_STATE_{state}", message="by hand", rows=7)
    job = service.job()
    assert job["state"] == f"JOB_STATE_{state}"
    assert job["status"]["message"] == "by hand"
    assert len(service.results()) == 7


def test_completed_by_hand_has_everything(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    service.emulator.set_job("job", "JOB_STATE_COMPLETED")
    assert sorted(ids_in(service.results())) == sorted(IDS)


def test_failed_by_hand_has_nothing(service: Service) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    service.emulator.set_job("job", "JOB_STATE_FAILED", message="no luck")
    assert service.job()["status"] == {"code": "INTERNAL", "message": "no luck"}
    assert service.get("/datasets/output").status_code == 404


@pytest.mark.parametrize(
    "state", ["PAUSED", "IDLE", "RE_QUEUEING", "CREATING_INPUT_DATASET", "ARCHIVED", "UNSPECIFIED"]
)
def test_a_state_given_by_hand_stays_until_it_is_given_back(service: Service, state: str) -> None:
    service.ready_dataset(ROWS)
    service.create_job()
    service.emulator.set_job("job", f"JOB_STATE_{state}")
    service.emulator.clock.advance(600)
    assert service.state() == state
    service.emulator.set_job("job")
    assert service.state() == "COMPLETED"


def test_what_cannot_be_set_by_hand_is_refused(service: Service) -> None:
    service.finished_job(ROWS)
    with pytest.raises(KeyError, match="there is no job"):
        service.emulator.set_job("none", "JOB_STATE_PAUSED")
    with pytest.raises(ValueError, match="there is no state"):
        service.emulator.set_job("job", "JOB_STATE_HAPPY")
    with pytest.raises(ValueError, match="already written"):
        service.emulator.set_job("job", "JOB_STATE_EXPIRED", rows=1)


def test_a_writer_of_one_s_own_takes_over_the_output(service: Service) -> None:
    def writer(job: Any, rows: list[dict[str, Any]]) -> dict[str, bytes]:
        assert job.id == "job"
        return {"odd.jsonl": json.dumps(sorted(ids_in(rows))).encode(), "error-data": b"\xff\n"}

    service.emulator.output_writer = writer
    service.finished_job(ROWS)
    files = service.files()
    assert json.loads(files["odd.jsonl"]) == sorted(IDS)
    assert files["error-data"] == b"\xff\n"


def test_a_row_can_fail_vanish_and_misbehave(service: Service) -> None:
    rows = [
        row(0, "[[fail]]"),
        row(1, "[[fail 429]]"),
        row(2, "[[fail-string]]"),
        row(3, "[[fail-odd]]"),
        row(4, "[[drop]]"),
        row(5, "[[duplicate]]"),
        row(6, "[[alien]]"),
        row(7, "fine"),
    ]
    service.finished_job(rows)
    assert service.state() == "COMPLETED"
    errors = {each.pop("custom_id"): each for each in service.errors()}
    message = "the prompt asked for a failure"
    assert errors == {
        "request-0": {"error": {"message": message, "code": 500}},
        "request-1": {"error": {"message": message, "code": 429}},
        "request-2": {"error": message},
        "request-3": {"outcome": "refused"},
    }
    assert sorted(ids_in(service.results())) == [
        "alien-request-6",
        "request-5",
        "request-5",
        "request-6",
        "request-7",
    ]
    progress = service.job()["jobProgress"]
    assert progress["failedRequests"] == 5
    assert progress["totalProcessedRequests"] == 8
    assert progress["outputRows"] == 5


def test_a_line_of_the_output_can_be_broken(service: Service) -> None:
    service.finished_job([row(0, "[[broken]]"), row(1)])
    lines = service.files()["BIJOutputSet.jsonl"].split(b"\n")[:-1]
    assert len(lines) == 2
    broken = min(lines, key=len)
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)


def test_a_flaky_row_succeeds_in_a_later_job(service: Service) -> None:
    rows = [row(0, "[[flaky 1]]")]
    service.finished_job(rows)
    assert ids_in(service.errors()) == ["request-0"]
    service.create_job("again", output="second")
    service.emulator.clock.advance(600)
    assert ids_in(service.results("second")) == ["request-0"]


def test_at_its_default_speed_a_job_lives_without_being_told(emulator: Emulator) -> None:
    service = Service(emulator)
    service.ready_dataset(ROWS)
    service.create_job()
    seen: list[str] = []
    while not seen or seen[-1] != "COMPLETED":
        seen.append(service.state())
    order = ["VALIDATING", "PENDING", "CREATING", "RUNNING", "WRITING_RESULTS", "COMPLETED"]
    assert seen == sorted(seen, key=order.index)
    assert len(service.results()) == len(ROWS)
    service.close()
