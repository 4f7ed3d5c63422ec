"""The emulator's own routes, for those who are in another process."""

from __future__ import annotations

from typing import Any

import pytest

from oumi_fireworks.emulator import Limits
from tests.emulator.service import Service, row


def test_faults_can_be_asked_for_looked_at_and_cleared(service: Service) -> None:
    added = service.http.post("/emulator/faults", json={"kind": "status", "status": 502})
    assert added.json()["status"] == 502
    assert len(service.http.get("/emulator/faults").json()["faults"]) == 1
    assert service.get("/datasets").status_code == 502
    service.http.post("/emulator/faults", json={"kind": "reset"})
    assert service.http.delete("/emulator/faults").json() == {}
    assert service.get("/datasets").status_code == 200


def test_requests_can_be_looked_at(service: Service) -> None:
    service.create_dataset("input", 3)
    seen = service.http.get("/emulator/requests").json()
    (request,) = seen["requests"]
    assert (request["method"], request["status"]) == ("POST", 200)
    assert request["body"]["dataset"]["exampleCount"] == "3"
    assert "authorization" not in request["headers"]
    assert seen["connections"] == 1
    service.http.delete("/emulator/requests")
    left = service.http.get("/emulator/requests").json()["requests"]
    assert [each["path"] for each in left] == ["/emulator/requests"]


def test_time_can_be_moved(service: Service) -> None:
    service.ready_dataset([row(0)])
    service.create_job()
    moved = service.http.post("/emulator/clock", json={"advance": 600}).json()
    assert moved["now"] > 0
    assert service.state() == "COMPLETED"


def test_limits_latency_and_refusal_can_be_set(service: Service) -> None:
    limit = {"requests_per_minute": 0.001, "window": 6000}
    assert service.http.put("/emulator/rate-limit", json=limit).json()["window"] == 6000
    service.chat()
    assert service.chat().status_code == 429
    service.http.put("/emulator/rate-limit", json={})
    service.http.put("/emulator/refusal", json={"status": 402})
    assert service.chat().status_code == 402
    service.http.put("/emulator/refusal", json={"status": None})
    service.http.put("/emulator/limits", json={"preset": "dedicated", "at_once": 3})
    assert service.emulator.limits == Limits(tokens=False, at_once=3)
    service.http.put("/emulator/limits", json={})
    assert service.emulator.limits is None
    service.http.put("/emulator/latency", json={"median": 0.05})
    assert service.chat().elapsed.total_seconds() >= 0.05
    service.http.put("/emulator/latency", json={})
    assert service.emulator.latency is None


def test_jobs_can_be_put_into_a_state(service: Service) -> None:
    service.ready_dataset([row(0)])
    service.create_job()
    service.http.post("/emulator/jobs/job", json={"state": "JOB_STATE_FAILED", "message": "no"})
    assert service.job()["status"]["message"] == "no"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/emulator/faults", {"kind": "earthquake"}),
        ("POST", "/emulator/faults", {"kind": "reset", "colour": "red"}),
        ("POST", "/emulator/faults", []),
        ("POST", "/emulator/faults", {"method": 5}),
        ("POST", "/emulator/clock", {"advance": -1}),
        ("POST", "/emulator/clock", {"advance": "far"}),
        ("POST", "/emulator/clock", {"advance": "nan"}),
        ("POST", "/emulator/clock", {"advance": 1e15}),
        ("PUT", "/emulator/rate-limit", {"requests_per_minute": 0}),
        ("PUT", "/emulator/rate-limit", {"requests_per_minute": "many"}),
        ("PUT", "/emulator/rate-limit", {"requests_per_minute": 1, "soft_requests_per_minute": 0}),
        ("PUT", "/emulator/latency", {"sigma": 1}),
        ("PUT", "/emulator/latency", {"median": "long"}),
        ("PUT", "/emulator/latency", {"median": 1, "sigma": -1}),
        ("PUT", "/emulator/refusal", {"status": 500}),
        ("PUT", "/emulator/refusal", {"suspend_state": "TIRED"}),
        ("PUT", "/emulator/limits", {"preset": "generous"}),
        ("PUT", "/emulator/limits", {"growth": 0}),
        ("PUT", "/emulator/limits", {"steep": "very"}),
        ("POST", "/emulator/jobs/none", {"state": "JOB_STATE_PAUSED"}),
        ("POST", "/emulator/jobs/job", {"state": 5}),
        ("POST", "/emulator/jobs/job", {"message": 5}),
        ("POST", "/emulator/jobs/job", {"state": "JOB_STATE_EXPIRED", "rows": "all"}),
        ("POST", "/emulator/jobs/job", {"state": "JOB_STATE_EXPIRED", "rows": -1}),
    ],
)
def test_nonsense_is_refused(service: Service, method: str, path: str, body: Any) -> None:
    service.ready_dataset([row(0)])
    service.create_job().raise_for_status()
    response = service.http.request(method, path, json=body)
    assert response.status_code == 400
    assert response.json()["code"] == 3
    assert service.state() == "VALIDATING"
    assert service.chat().status_code == 200


def test_what_is_no_json_is_refused(service: Service) -> None:
    assert service.http.post("/emulator/faults", content=b"{").status_code == 400
