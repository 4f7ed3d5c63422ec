"""Weather: what clients see of a control plane that shows things late, over real HTTP."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from oumi_fireworks.emulator import Emulator, Fault, Lag, Weather, parse_fault, parse_weather
from tests.emulator.service import MODEL, Service, jsonl, row

BIG = 12_000_000
"""Bytes that no socket's buffers take."""


def ids(service: Service, collection: str) -> list[str]:
    """The ids on a list."""
    items = service.get(f"/{collection}").json()[collection]
    return [item["name"].rpartition("/")[2] for item in items]


def outcome(response: httpx.Response) -> int | str:
    """A job's or dataset's state, or the status of the refusal."""
    body = response.json()
    return str(body["state"]) if response.status_code == 200 else response.status_code


@pytest.fixture
def running(service: Service) -> Service:
    """A service with a job of two rows that has not begun."""
    service.ready_dataset([row(0), row(1)])
    service.create_job().raise_for_status()
    return service


# Reads that lag


@pytest.mark.parametrize("lag", [Lag(seconds=30), Lag(reads=3)])
def test_a_job_is_not_found_until_its_creation_shows(running: Service, lag: Lag) -> None:
    running.emulator.weather = Weather(jobs=lag)
    running.create_job("late", output="other").raise_for_status()
    seen = []
    for _ in range(4):
        seen.append(outcome(running.get("/batchInferenceJobs/late")))
        running.emulator.clock.advance(10)
    assert seen == [404, 404, 404, "JOB_STATE_VALIDATING"]


def test_absence_is_told_as_the_service_tells_it(running: Service) -> None:
    running.emulator.weather = Weather(jobs=Lag(60))
    assert running.get("/batchInferenceJobs/job").json()["code"] == 5
    assert running.delete("/batchInferenceJobs/job").status_code == 404
    assert running.create_job().status_code == 409
    running.emulator.clock.advance(60)
    assert running.delete("/batchInferenceJobs/job").status_code == 200


def test_a_state_is_shown_late(running: Service) -> None:
    running.emulator.weather = Weather(jobs=Lag(60))
    running.emulator.clock.advance(75)
    assert running.state() == "VALIDATING"
    running.emulator.clock.advance(20)
    assert running.state() == "PENDING"
    running.emulator.weather = Weather()
    assert running.state() == "PENDING"


def test_progress_is_shown_late(service: Service) -> None:
    job = service.finished_job([row(0), row(1)])
    assert job["jobProgress"]["totalProcessedRequests"] == 2
    service.emulator.weather = Weather(jobs=Lag(310))
    assert service.job()["state"] == "JOB_STATE_CREATING"
    assert service.job()["jobProgress"] is None
    service.emulator.weather = Weather(jobs=Lag(190))
    assert service.job()["state"] == "JOB_STATE_RUNNING"
    assert service.job()["jobProgress"]["totalProcessedRequests"] == 1


def test_a_removal_is_seen_late(running: Service) -> None:
    running.delete("/batchInferenceJobs/job").raise_for_status()
    running.emulator.clock.advance(20)
    assert running.get("/batchInferenceJobs/job").status_code == 404
    running.emulator.weather = Weather(jobs=Lag(15), lists=Lag(5))
    assert running.state() == "DELETING_CLEANING_UP"
    assert ids(running, "batchInferenceJobs") == []
    running.emulator.clock.advance(20)
    assert running.get("/batchInferenceJobs/job").status_code == 404


def test_a_dataset_lags_in_every_way(service: Service) -> None:
    service.create_dataset().raise_for_status()
    service.emulator.weather = Weather(datasets=Lag(10))
    assert service.get("/datasets/input").status_code == 404
    assert service.upload(jsonl([row(0)])).status_code == 404
    service.emulator.clock.advance(10)
    service.upload(jsonl([row(0)])).raise_for_status()
    service.emulator.clock.advance(5)
    assert outcome(service.get("/datasets/input")) == "UPLOADING"
    service.emulator.clock.advance(10)
    assert outcome(service.get("/datasets/input")) == "READY"
    service.delete("/datasets/input").raise_for_status()
    assert outcome(service.get("/datasets/input")) == "READY"
    assert service.delete("/datasets/input").status_code == 404
    service.emulator.clock.advance(10)
    assert service.get("/datasets/input").status_code == 404


@pytest.mark.parametrize("collection", ["batchInferenceJobs", "datasets"])
@pytest.mark.parametrize("lag", [Lag(seconds=20), Lag(reads=2)])
def test_a_list_lags_by_itself(running: Service, collection: str, lag: Lag) -> None:
    running.emulator.weather = Weather(lists=lag)
    running.ready_dataset([row(0)], "second")
    running.create_job("second", "second", "second-out").raise_for_status()
    seen = []
    for _ in range(3):
        seen.append("second" in ids(running, collection))
        assert running.get(f"/{collection}/second").status_code == 200
        running.emulator.clock.advance(10)
    assert seen == [False, False, True]


def test_an_earlier_state_is_served_after_a_later_one(running: Service) -> None:
    running.emulator.clock.advance(40)
    running.emulator.weather = Weather(jobs=Lag(20, probability=0.5))
    seen = [running.state() for _ in range(30)]
    first = seen.index("PENDING")
    assert "VALIDATING" in seen[first:]


def test_a_single_read_can_be_stale(running: Service) -> None:
    running.emulator.clock.advance(40)
    stale = Fault("GET", "Jobs/job$", "stale", delay=20, after=1)
    running.emulator.faults.add(stale)
    assert [running.state() for _ in range(3)] == ["PENDING", "VALIDATING", "PENDING"]
    running.emulator.faults.add(Fault("GET", "/datasets$", "stale", delay=1e6))
    assert ids(running, "datasets") == []
    assert ids(running, "datasets") == ["input"]


def test_creation_lags_over_a_restart(tmp_path: Path) -> None:
    with Emulator(speed=0, state=tmp_path) as emulator:
        service = Service(emulator)
        service.create_dataset().raise_for_status()
        service.close()
    with Emulator(speed=0, state=tmp_path, weather=Weather(datasets=Lag(60))) as emulator:
        service = Service(emulator)
        assert service.get("/datasets/input").status_code == 404
        emulator.clock.advance(60)
        assert service.get("/datasets/input").status_code == 200
        service.close()


def test_the_weather_follows_real_time_as_well() -> None:
    with Emulator(weather=Weather(datasets=Lag(0.2))) as emulator:
        service = Service(emulator)
        created = emulator.clock.now()
        service.create_dataset().raise_for_status()
        assert service.get("/datasets/input").status_code == 404
        while service.get("/datasets/input").status_code == 404:
            assert emulator.clock.now() < created + 30
        assert emulator.clock.now() >= created + 0.2
        service.close()


# Results that come late


@pytest.fixture
def parted() -> Iterator[Service]:
    """A service whose jobs write a file a row."""
    with Emulator(speed=0, result_file_bytes=1) as emulator:
        service = Service(emulator)
        yield service
        service.close()


def test_output_appears_in_stages(parted: Service) -> None:
    parted.emulator.weather = Weather(
        output_missing=10, files_missing=10, files_partial=10, files_growing=10
    )
    assert parted.finished_job([row(n) for n in range(3)])["state"] == "JOB_STATE_COMPLETED"
    seen: list[Any] = []
    for _ in range(5):
        response = parted.get("/datasets/output:getDownloadEndpoint")
        assert response.status_code == parted.get("/datasets/output").status_code
        assert ("output" in ids(parted, "datasets")) == (response.status_code == 200)
        if response.status_code == 200:
            seen.append({n: len(data) for n, data in parted.files().items()})
        else:
            seen.append(response.json()["code"])
        parted.emulator.clock.advance(10)
    whole = seen[4]
    names = ["BIJOutputSet.jsonl", "BIJOutputSet_1.jsonl", "BIJOutputSet_2.jsonl", "error-data"]
    assert list(whole) == names
    assert seen[:3] == [5, {}, {name: whole[name] for name in names[2:]}]
    assert seen[3] == {name: size // 2 for name, size in whole.items()}


def test_a_short_file_agrees_with_itself(service: Service) -> None:
    service.emulator.weather = Weather(files_growing=10)
    service.finished_job([row(0)])
    url = service.urls()["dataset/output/BIJOutputSet.jsonl"]
    short = service.fetch(url)
    part = service.fetch(url, Range="bytes=10-")
    assert part.headers["Content-Range"].endswith(f"/{len(short.content)}")
    service.emulator.clock.advance(10)
    whole = service.fetch(url)
    assert whole.content.startswith(short.content)
    assert len(whole.content) // 2 == len(short.content)
    assert short.headers["x-goog-hash"] != whole.headers["x-goog-hash"]


def test_files_are_listed_in_another_order(parted: Service) -> None:
    parted.finished_job([row(n) for n in range(4)])
    parted.emulator.weather = Weather(files_shuffled=True)
    orders = {tuple(parted.urls()) for _ in range(10)}
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1


# Uploads and removals that take their time


def test_ready_comes_late(service: Service) -> None:
    service.emulator.weather = Weather(ready=8)
    service.create_dataset().raise_for_status()
    service.emulator.faults.add(Fault("POST", ":upload$", "lost_answer"))
    with pytest.raises(httpx.TransportError):
        service.upload(jsonl([row(0)]))
    service.emulator.clock.advance(7)
    assert outcome(service.get("/datasets/input")) == "UPLOADING"
    service.emulator.clock.advance(1)
    assert outcome(service.get("/datasets/input")) == "READY"


def test_a_removal_lasts(running: Service) -> None:
    running.emulator.weather = Weather(deleting=60)
    assert running.delete("/batchInferenceJobs/job").json() == {}
    running.emulator.clock.advance(50)
    assert running.state() == "DELETING"
    again = running.delete("/batchInferenceJobs/job")
    assert (again.status_code, again.json()["code"]) == (400, 9)
    assert "already deleting" in again.json()["message"]
    running.emulator.clock.advance(10)
    assert running.get("/batchInferenceJobs/job").status_code == 404


# Answers that are wrong


@pytest.mark.parametrize(
    ("spec", "status", "body"),
    [
        ("status=404", 404, {"code": 5, "message": "a fault was asked for", "details": []}),
        ("status=404 body='{\"error\": 1}'", 404, {"error": 1}),
        ("status=404 body='<html>' header='Content-Type: text/html'", 404, "<html>"),
        ("status=405", 405, {"code": 2, "message": "a fault was asked for", "details": []}),
        ("status=501", 501, {"code": 12, "message": "a fault was asked for", "details": []}),
        ("kind=garbage body=''", 200, ""),
        ("kind=garbage body='{\"filenameToSignedUrls\": {}}'", 200, {"filenameToSignedUrls": {}}),
    ],
)
def test_any_read_can_be_wrong(service: Service, spec: str, status: int, body: Any) -> None:
    service.finished_job([row(0)])
    service.emulator.faults.add(parse_fault(f"method=GET times=2 {spec}"))
    for path in ("/batchInferenceJobs/job", "/datasets/output:getDownloadEndpoint"):
        response = service.get(path)
        assert response.status_code == status
        assert (response.text if isinstance(body, str) else response.json()) == body
    assert response.headers["Content-Type"] == (
        "text/html" if body == "<html>" else "application/json"
    )
    assert service.get("/batchInferenceJobs/job").status_code == 200


def test_an_answer_has_the_record_of_another(running: Service) -> None:
    add = running.emulator.faults.add
    running.create_job("second", output="out-2").raise_for_status()
    running.create_job("third", output="out-3").raise_for_status()
    add(Fault("GET", "Jobs/second$", "other"))
    assert running.job("second")["name"].endswith("/third")
    assert running.job("second")["name"].endswith("/second")
    add(Fault("GET", "Jobs/second$", "other", body="job"))
    assert running.job("second")["name"].endswith("/job")
    add(Fault("POST", "Jobs$", "other", body="job"))
    assert running.create_job("fourth", output="out-4").json()["name"].endswith("/job")
    assert running.job("fourth")["name"].endswith("/fourth")
    running.emulator.clock.advance(1200)
    add(Fault("GET", "datasets/out-2", "other", body="out-3", times=2))
    assert running.get("/datasets/out-2").json()["name"].endswith("/out-3")
    assert "dataset/out-3/BIJOutputSet.jsonl" in running.urls("out-2")


# Requests that go astray


def test_a_request_is_handled_twice(service: Service) -> None:
    add = service.emulator.faults.add
    add(Fault("POST", "/datasets$", "duplicate"))
    assert service.create_dataset().status_code == 409
    add(Fault("POST", ":upload$", "duplicate"))
    assert service.upload(jsonl([row(0)])).status_code == 200
    (dataset,) = service.emulator.datasets
    assert (dataset.uploads, dataset.rows) == (2, 1)
    service.emulator.clock.advance(5)
    add(Fault("POST", "batchInferenceJobs$", "duplicate"))
    assert service.create_job().status_code == 409
    assert len(service.emulator.requests_to("POST", "batchInferenceJobs$")) == 2
    assert [job.id for job in service.emulator.jobs] == ["job"]


def test_a_signed_upload_is_delivered_twice(service: Service) -> None:
    service.create_dataset().raise_for_status()
    content = jsonl([row(0)])
    url = service.upload_url(len(content))
    service.emulator.faults.add(Fault("PUT", None, "duplicate"))
    assert service.put(url, content).status_code == 200
    assert service.emulator.datasets[0].uploads == 2


@pytest.mark.parametrize("signed", [False, True])
def test_a_server_stops_reading_an_upload(service: Service, signed: bool) -> None:
    service.create_dataset().raise_for_status()
    content = b"x" * BIG
    url = service.upload_url(BIG) if signed else ""
    service.emulator.faults.add(Fault(kind="stop_reading", bytes=1000, path=":upload$|^/storage"))
    timeout = httpx.Timeout(30, write=0.2)
    service.storage.timeout = service.http.timeout = timeout
    with pytest.raises(httpx.WriteTimeout):
        service.put(url, content) if signed else service.upload(content)
    assert service.emulator.datasets[0].uploads == 0


# Asking for weather


def test_weather_can_be_asked_for_by_others(service: Service) -> None:
    given = {"jobs": 3, "lists": {"reads": 2, "probability": 0.5}, "files_shuffled": True}
    service.http.put("/emulator/weather", json=given).raise_for_status()
    wanted = Weather(jobs=Lag(3), lists=Lag(reads=2, probability=0.5), files_shuffled=True)
    assert service.emulator.weather == wanted
    assert service.http.get("/emulator/weather").json()["lists"]["reads"] == 2
    service.http.put("/emulator/weather", json={})
    assert service.emulator.weather == Weather()


def test_weather_can_be_written_down() -> None:
    assert parse_weather(
        "jobs=3 jobs.probability=.5 lists.reads=2 ready=8 files_shuffled=true"
    ) == (Weather(jobs=Lag(3, probability=0.5), lists=Lag(reads=2), ready=8, files_shuffled=True))


@pytest.mark.parametrize(
    "wrong",
    [
        "rain=1",
        "jobs",
        "jobs=much",
        "jobs.colour=1",
        "ready=-1",
        "jobs=-1",
        "lists.reads=0.5",
        "lists.probability=2",
        "files_shuffled=perhaps",
        "ready.reads=1",
        "ready=nan",
    ],
)
def test_senseless_weather_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_weather(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rain": 1},
        {"jobs": "much"},
        {"jobs": {"colour": 1}},
        {"ready": -1},
        {"ready": "8"},
        {"files_shuffled": 1},
        {"jobs": {"seconds": -1}},
        {"lists": {"reads": 0.5}},
    ],
)
def test_senseless_weather_is_refused_over_http(service: Service, wrong: Any) -> None:
    response = service.http.put("/emulator/weather", json=wrong)
    assert (response.status_code, response.json()["code"]) == (400, 3)
    assert service.emulator.weather == Weather()


# The ledger


def test_the_ledger_counts_the_rows_that_ran(service: Service) -> None:
    service.finished_job([row(0), row(1), row(2, "[[fail]]")])
    service.create_job("again", output="again-out").raise_for_status()
    service.emulator.clock.advance(600)
    service.create_job("half", output="half-out").raise_for_status()
    service.emulator.clock.advance(330 + 80)
    service.delete("/batchInferenceJobs/half").raise_for_status()
    service.delete("/batchInferenceJobs/job").raise_for_status()
    service.emulator.clock.advance(60)
    ledger = service.emulator.ledger
    assert [(each.job, each.rows, each.failed, each.deleted) for each in ledger.jobs[:2]] == [
        ("job", 3, 1, True),
        ("again", 3, 1, False),
    ]
    half = ledger.jobs[2]
    assert (half.job, half.rows, half.deleted) == ("half", 1, True)
    assert ledger.rows == 7
    again = service.job("again")["jobProgress"]
    assert (ledger.jobs[1].input_tokens, ledger.jobs[1].output_tokens) == (
        again["inputTokens"],
        again["outputTokens"],
    )
    told = service.http.get("/emulator/ledger").json()
    assert (told["rows"], told["output_tokens"]) == (ledger.rows, ledger.output_tokens)
    assert told["jobs"][0]["model"] == MODEL


def test_the_ledger_survives_a_restart(tmp_path: Path) -> None:
    with Emulator(speed=0, state=tmp_path) as emulator:
        service = Service(emulator)
        service.finished_job([row(0), row(1)])
        service.delete("/batchInferenceJobs/job").raise_for_status()
        emulator.clock.advance(60)
        before = emulator.ledger
        service.close()
    assert before.rows == 2
    with Emulator(speed=0, state=tmp_path) as emulator:
        assert emulator.ledger == before


# Security


def test_state_and_key_are_for_the_user_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Emulator(speed=0, state=state, result_file_bytes=1) as emulator:
        service = Service(emulator)
        emulator.weather = Weather(files_growing=1e6)
        service.finished_job([row(0), row(1)])
        service.files()
        service.create_job("second", output="out-2").raise_for_status()
        key = emulator.api_key
        service.close()
    for path in (state, *state.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    with Emulator(state=state) as again, Emulator() as other:
        assert again.api_key == key
        assert other.api_key != key
