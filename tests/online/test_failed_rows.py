"""Rows that fail: at once or after their retries, and without the others."""

from __future__ import annotations

import asyncio

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    ConnectionFailedError,
    FireworksError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    ServerError,
)
from oumi_fireworks.online import Pump
from tests.online.conftest import (
    CHAT,
    ECHOES,
    Drive,
    Harvest,
    asked,
    request,
    settings_for,
    text_of,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (404, NotFoundError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
    ],
)
def test_a_wrong_row_fails_at_once_and_the_others_go_on(
    drive: Drive, emulator: Emulator, status: int, kind: type[FireworksError]
) -> None:
    wrong = f"[[fail {status}]]"
    harvest = drive([ECHOES[0], wrong, ECHOES[1]])
    (error,) = harvest.errors().values()
    assert isinstance(error, kind)
    assert f"answered {status}: the prompt asked for a failure" in str(error)
    assert asked(emulator).count(wrong) == 1
    assert len(harvest.outcomes) == 3


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 520])
def test_a_service_in_trouble_is_asked_again(drive: Drive, emulator: Emulator, status: int) -> None:
    emulator.faults.add(Fault(path=CHAT, status=status, times=2))
    harvest = drive(ECHOES[:5])
    assert harvest.texts() == ECHOES[:5]
    assert harvest.report is not None
    assert harvest.report.retries == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path=CHAT, kind="reset"),
        Fault(path=CHAT, kind="lost_answer"),
        Fault(path=CHAT, kind="cut", bytes=20),
        Fault(path=CHAT, kind="truncated_json"),
        Fault(path=CHAT, kind="garbage", body="<html>busy</html>"),
        Fault(path=CHAT, kind="garbage", body={"error": {"message": "overloaded"}}),
        Fault(path=CHAT, kind="garbage", body={"id": "x", "choices": []}),
        Fault(path=CHAT, kind="garbage", body={"choices": [{"index": 0}]}),
        Fault(path=CHAT, kind="garbage", body=[]),
    ],
    ids=lambda fault: f"{fault.kind} {fault.body or ''}".strip(),
)
def test_an_answer_that_did_not_arrive_is_asked_for_again(
    drive: Drive, emulator: Emulator, fault: Fault
) -> None:
    emulator.faults.add(fault)
    harvest = drive(ECHOES[:5])
    assert harvest.texts() == ECHOES[:5]
    assert harvest.report is not None
    assert harvest.report.retries == 1


def test_an_answer_that_never_ends_times_out(drive: Drive, emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=CHAT, kind="stall", times=2))
    harvest = drive(ECHOES[:5], timeout=0.3, max_retries=1, workers=1)
    assert list(harvest.errors()) == [0]
    assert isinstance(harvest.outcomes[0], ConnectionFailedError)
    assert "timed out" in str(harvest.outcomes[0])


def test_a_row_gives_up_when_its_own_retries_are_spent(drive: Drive, emulator: Emulator) -> None:
    harvest = drive([ECHOES[0], "[[fail 503]]", ECHOES[1]], max_retries=2)
    (error,) = harvest.errors().values()
    assert isinstance(error, ServerError)
    assert error.status_code == 503
    assert str(error).endswith("Tried 3 times.")
    assert asked(emulator).count("[[fail 503]]") == 3


def test_an_error_with_a_status_of_success_keeps_the_services_words(
    drive: Drive, emulator: Emulator
) -> None:
    emulator.faults.add(
        Fault(path=CHAT, kind="garbage", body={"error": {"message": "the model has crashed"}})
    )
    (error,) = drive(["x"], max_retries=0).errors().values()
    assert isinstance(error, MalformedAnswerError)
    assert "the model has crashed" in str(error)


def test_a_body_that_is_no_json_fails_alone(emulator: Emulator) -> None:
    harvest = Harvest()

    async def run() -> None:
        pump = Pump(settings_for(emulator))
        await pump.run([(0, request("x", seed={1, 2})), (1, request("[[echo]] y"))], harvest.take)
        await pump.close()

    asyncio.run(run())
    assert isinstance(harvest.outcomes[0], InvalidRequestError)
    assert text_of(harvest.outcomes[1]) == "[[echo]] y"
