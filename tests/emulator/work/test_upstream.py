"""Forwarding to an OpenAI-compatible server, played by another emulator."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from oumi_fireworks.emulator import Emulator, Fault, Upstream
from oumi_fireworks.emulator.faults.faults import FaultKind
from tests.emulator.service import MODEL, Service, row

OTHER = "accounts/fireworks/models/the-real-one"


@pytest.fixture
def upstream() -> Iterator[Emulator]:
    """The server upstream."""
    with Emulator(key="upstream-key") as emulator:
        yield emulator


@pytest.fixture
def service(upstream: Emulator) -> Iterator[Service]:
    """An emulator that asks the server upstream."""
    settings = Upstream(
        f"{upstream.url}/inference/v1/", model=OTHER, key="upstream-key", concurrency=4
    )
    with Emulator(speed=0, upstream=settings) as emulator:
        service = Service(emulator)
        yield service
        service.close()


def test_chat_is_forwarded(upstream: Emulator, service: Service) -> None:
    assert service.said("hello") == (
        f"This is the emulator's toy model in place of {OTHER}. You wrote: hello"
    )
    (seen,) = upstream.requests
    assert seen.body["model"] == OTHER
    assert seen.headers["authorization"] == "Bearer upstream-key"


def test_streams_are_forwarded(service: Service) -> None:
    response = service.chat(stream=True)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.text.endswith("data: [DONE]\n\n")


def test_the_form_of_requests_is_still_checked_here(upstream: Emulator, service: Service) -> None:
    assert service.chat(stop_token_ids=[1]).status_code == 400
    assert upstream.requests == []


def test_any_name_of_a_model_is_forwarded(upstream: Emulator, service: Service) -> None:
    assert service.chat(model="llama").status_code == 200


def test_errors_are_passed_on(upstream: Emulator, service: Service) -> None:
    upstream.faults.add(Fault(status=429, headers={"Retry-After": "3"}))
    refused = service.chat()
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "3"


def test_a_server_that_is_away_is_a_503(upstream: Emulator, service: Service) -> None:
    upstream.stop()
    refused = service.chat()
    assert refused.status_code == 503
    assert "upstream is away" in refused.json()["error"]["message"]


def test_an_answer_that_is_cut_upstream_is_a_503(upstream: Emulator, service: Service) -> None:
    upstream.faults.add(Fault(kind="reset"))
    upstream.faults.add(Fault(kind="cut", bytes=10))
    for _ in range(2):
        refused = service.chat()
        assert refused.status_code == 503
        assert "upstream is away" in refused.json()["error"]["message"]
    assert service.chat().status_code == 200


def test_a_stream_that_is_cut_upstream_is_cut_here(upstream: Emulator, service: Service) -> None:
    upstream.faults.add(Fault(kind="cut", bytes=10))
    with pytest.raises(httpx.TransportError) as cut:
        service.chat(stream=True)
    assert "HTTP/1.1" not in str(cut.value)  # no second answer in the midst of the first
    assert service.emulator.requests[-1].status == 0


@pytest.mark.parametrize("kind", ["truncated_json", "garbage"])
def test_faults_strike_what_came_from_upstream(service: Service, kind: FaultKind) -> None:
    service.emulator.faults.add(Fault(kind=kind, body="<html>"))
    response = service.chat()
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        response.json()


def test_a_batch_is_answered_upstream(upstream: Emulator, service: Service) -> None:
    rows = [row(number, f"question {number}") for number in range(20)]
    service.finished_job(rows)
    results = {each["custom_id"]: each["response"] for each in service.results()}
    assert len(results) == 20
    for number in range(20):
        said = results[f"request-{number}"]["choices"][0]["message"]["content"]
        assert said.endswith(f"You wrote: question {number}")
    assert len(upstream.requests) == 20
    assert {each.body["model"] for each in upstream.requests} == {OTHER}
    assert upstream.connections <= 4
    assert service.job()["jobProgress"]["outputTokens"] > 0


def test_rows_that_fail_upstream_fail_here(upstream: Emulator, service: Service) -> None:
    upstream.faults.add(Fault(kind="reset"))
    upstream.faults.add(Fault(kind="garbage", body="<html>"))
    upstream.faults.add(Fault(kind="garbage", body=[]))
    upstream.faults.add(Fault(status=500, body={"error": "no"}))
    service.finished_job([row(number) for number in range(6)])
    assert service.state() == "COMPLETED"
    assert len(service.results()) == 2
    errors = sorted(each["error"]["code"] for each in service.errors())
    assert errors == [500, 502, 502, 503]


def test_the_model_of_the_job_is_asked_for_unless_another_is_set(upstream: Emulator) -> None:
    settings = Upstream(f"{upstream.url}/v1", key="upstream-key")
    with Emulator(speed=0, upstream=settings) as emulator:
        service = Service(emulator)
        service.finished_job([row(0)])
        assert upstream.requests[0].body["model"] == MODEL
        service.close()


def test_it_stops_while_the_server_upstream_is_silent(upstream: Emulator) -> None:
    upstream.faults.add(Fault(kind="stall", times=None))
    settings = Upstream(f"{upstream.url}/v1", key="upstream-key")
    with Emulator(upstream=settings) as emulator:
        service = Service(emulator)
        service.create_dataset()
        service.upload(
            b'{"custom_id": "a", "body": {"messages": [{"role": "user", "content": ""}]}}'
        )
        while emulator.datasets[0].state != "READY":
            pass
        service.create_job().raise_for_status()
        while not upstream.requests and upstream.connections == 0:
            pass
        service.close()
