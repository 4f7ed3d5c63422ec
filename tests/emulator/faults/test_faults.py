"""Faults: when they strike, and what they do to a request."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest

from oumi_fireworks.emulator import Emulator, Fault, parse_fault
from oumi_fireworks.emulator.faults.faults import FaultBook
from tests.emulator.service import Service, jsonl, row

CONTENT = jsonl([row(number) for number in range(100)])


def strikes(book: FaultBook, count: int, method: str = "GET", path: str = "/x") -> list[bool]:
    return [book.strike(method, path) is not None for _ in range(count)]


@pytest.fixture
def book() -> FaultBook:
    return FaultBook(random.Random(1))


def test_a_fault_strikes_once_unless_told_otherwise(book: FaultBook) -> None:
    book.add(Fault())
    assert strikes(book, 3) == [True, False, False]


def test_it_can_strike_often_later_and_always(book: FaultBook) -> None:
    book.add(Fault(after=1, times=2))
    assert strikes(book, 5) == [False, True, True, False, False]
    book.clear()
    book.add(Fault(times=None))
    assert strikes(book, 5) == [True] * 5


def test_it_strikes_what_it_is_aimed_at(book: FaultBook) -> None:
    book.add(Fault(method="post", path=r"datasets/[^/]+:upload$", times=None))
    assert strikes(book, 1, "POST", "/v1/accounts/a/datasets/d:upload") == [True]
    assert strikes(book, 1, "GET", "/v1/accounts/a/datasets/d:upload") == [False]
    assert strikes(book, 1, "POST", "/v1/accounts/a/datasets") == [False]


def test_chance_decides_where_it_is_asked_to(book: FaultBook) -> None:
    book.add(Fault(probability=0.25, times=None))
    assert 150 < sum(strikes(book, 1000)) < 350


def test_the_first_fault_wins_and_the_next_gets_its_turn(book: FaultBook) -> None:
    first, second = Fault(status=500), Fault(status=502)
    book.add(first)
    book.add(second)
    assert book.active == [first, second]
    assert [book.strike("GET", "/"), book.strike("GET", "/")] == [first, second]
    assert (book.active, book.fired(first), book.fired(second)) == ([], 1, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "earthquake"}, {"path": "("}, {"probability": 2}, {"kind": "delay"}],
)
def test_a_senseless_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown kind|regular expression|probability|seconds"):
        Fault(**wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", 5),
        ("path", 5),
        ("times", -1),
        ("times", "often"),
        ("after", -1),
        ("probability", float("nan")),
        ("status", 99),
        ("status", 9999),
        ("status", "503"),
        ("delay", -1),
        ("delay", float("inf")),
        ("bytes", -5),
        ("headers", None),
        ("headers", {"Retry-After": 7}),
    ],
)
def test_a_value_that_would_break_when_it_strikes_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        Fault(**{name: value})


def test_a_fault_can_be_written_down() -> None:
    assert parse_fault("kind=status status=429 path='/a b' times=always probability=0.5") == Fault(
        kind="status", status=429, path="/a b", times=None, probability=0.5
    )
    assert parse_fault("kind=cut bytes=10 after=2 method=GET") == Fault(
        kind="cut", bytes=10, after=2, method="GET"
    )


@pytest.mark.parametrize("text", ["nonsense", "colour=red", "times=some", "kind=no", "delay=x"])
def test_a_badly_written_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected name=value|cannot be|unknown kind"):
        parse_fault(text)


def test_status_answers_without_doing_anything(service: Service) -> None:
    service.emulator.faults.add(Fault(method="POST", path="/datasets"))
    response = service.create_dataset()
    assert response.status_code == 503
    assert response.json() == {"code": 14, "message": "a fault was asked for", "details": []}
    assert service.emulator.datasets == []
    assert service.create_dataset().status_code == 200


def test_status_has_the_form_of_whoever_answers(service: Service) -> None:
    service.ready_dataset(CONTENT)
    url = service.urls("input")["dataset/input/input.jsonl"]
    service.emulator.faults.add(Fault(status=500, times=2))
    assert service.chat().json()["error"]["message"] == "a fault was asked for"
    assert service.fetch(url).text.startswith("<?xml")


def test_status_may_bring_its_own_body_and_headers(service: Service) -> None:
    service.emulator.faults.add(
        Fault(status=429, body={"error": "slow down"}, headers={"Retry-After": "7"})
    )
    response = service.get("/datasets")
    assert (response.status_code, response.json()) == (429, {"error": "slow down"})
    assert response.headers["Retry-After"] == "7"


def test_delay_takes_its_time(service: Service) -> None:
    service.emulator.faults.add(Fault(kind="delay", delay=0.05))
    response = service.create_dataset()
    assert response.status_code == 200
    assert response.elapsed.total_seconds() >= 0.05


def test_reset_does_nothing_and_drops_the_connection(service: Service) -> None:
    service.emulator.faults.add(Fault(kind="reset"))
    with pytest.raises(httpx.TransportError):
        service.create_dataset()
    assert service.emulator.datasets == []
    (seen,) = service.emulator.requests_to("POST", "/datasets$")
    assert seen.status == 0


def test_a_lost_answer_leaves_the_deed_done(service: Service) -> None:
    service.emulator.faults.add(Fault(kind="lost_answer"))
    with pytest.raises(httpx.TransportError):
        service.create_dataset()
    assert len(service.emulator.datasets) == 1
    (seen,) = service.emulator.requests_to("POST", "/datasets$")
    assert seen.status == 0
    assert service.create_dataset().status_code == 409


def test_a_lost_answer_to_an_upload_leaves_the_file_there(service: Service) -> None:
    service.create_dataset()
    service.emulator.faults.add(Fault(kind="lost_answer"))
    with pytest.raises(httpx.TransportError):
        service.upload(CONTENT)
    (seen,) = service.emulator.datasets
    assert (seen.uploads, seen.bytes) == (1, len(CONTENT))


def until_cut(response: httpx.Response) -> bytes:
    """What arrives of an answer's body until its connection is cut, which it must be."""
    received = b""
    try:
        for chunk in response.iter_raw():
            received += chunk
    except httpx.RemoteProtocolError:
        return received
    pytest.fail("the answer arrived whole")


def test_cut_ends_a_download_in_the_middle(service: Service) -> None:
    service.ready_dataset(CONTENT)
    url = service.urls("input")["dataset/input/input.jsonl"]
    service.emulator.faults.add(Fault(kind="cut", bytes=1000, path="^/storage"))
    with service.storage.stream("GET", url) as response:
        assert response.headers["Content-Length"] == str(len(CONTENT))
        received = until_cut(response)
    assert received == CONTENT[:1000]
    rest = service.fetch(url, Range="bytes=1000-")
    assert received + rest.content == CONTENT


def test_cut_ends_a_part_in_the_middle_too(service: Service) -> None:
    service.ready_dataset(CONTENT)
    url = service.urls("input")["dataset/input/input.jsonl"]
    service.emulator.faults.add(Fault(kind="cut", bytes=10, path="^/storage"))
    with service.storage.stream("GET", url, headers={"Range": "bytes=100-"}) as response:
        assert response.status_code == 206
        assert response.headers["Content-Range"] == (f"bytes 100-{len(CONTENT) - 1}/{len(CONTENT)}")
        received = until_cut(response)
    assert received == CONTENT[100:110]


@pytest.mark.parametrize("body", [{}, {"stream": True}])
def test_cut_ends_an_answer_in_the_middle(service: Service, body: dict[str, Any]) -> None:
    service.emulator.faults.add(Fault(kind="cut", bytes=30))
    with pytest.raises(httpx.RemoteProtocolError):
        service.chat(**body)


def test_a_stale_url_is_refused_as_expired(service: Service) -> None:
    service.ready_dataset(CONTENT)
    url = service.urls("input")["dataset/input/input.jsonl"]
    service.emulator.faults.add(Fault(kind="stale_url", path="^/storage"))
    refused = service.fetch(url)
    assert refused.status_code == 403
    assert "ExpiredToken" in refused.text
    assert service.fetch(url).content == CONTENT


def test_truncated_json_looks_like_an_answer(service: Service) -> None:
    service.emulator.faults.add(Fault(kind="truncated_json"))
    response = service.create_dataset()
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert len(service.emulator.datasets) == 1


def test_garbage_comes_too_late_for_a_stream(service: Service) -> None:
    service.emulator.faults.add(Fault(kind="garbage", body="<html>"))
    assert service.chat(stream=True).text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("body", "sent"), [("<html>", b"<html>"), ({"error": "no"}, b'{"error":"no"}'), ([], b"[]")]
)
def test_garbage_comes_with_a_200(service: Service, body: Any, sent: bytes) -> None:
    service.emulator.faults.add(Fault(kind="garbage", body=body))
    response = service.create_dataset()
    assert (response.status_code, response.content) == (200, sent)


def test_a_stalled_answer_never_comes(service: Service) -> None:
    service.emulator.faults.add(Fault(kind="stall"))
    with pytest.raises(httpx.ReadTimeout):
        service.request("GET", "/datasets", timeout=0.05)
    service.emulator.faults.add(Fault(kind="stall", delay=0.01))
    with pytest.raises(httpx.TransportError):
        service.get("/datasets")


def test_a_server_that_stops_does_not_wait_for_a_stalled_answer() -> None:
    with Emulator(speed=0) as emulator:
        service = Service(emulator)
        emulator.faults.add(Fault(kind="stall"))
        with pytest.raises(httpx.ReadTimeout):
            service.request("GET", "/datasets", timeout=0.05)
    service.close()
