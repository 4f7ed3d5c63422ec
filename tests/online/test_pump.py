"""The pump over HTTP, against the emulator, on good days: each row gets its own answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from oumi_fireworks.emulator import Emulator, Fault, Latency
from oumi_fireworks.errors import FireworksError, InvalidRequestError
from oumi_fireworks.money import Usage
from oumi_fireworks.online import Completion, OnlineProgress, Pump, PumpReport
from tests.online.conftest import (
    CHAT,
    ECHOES,
    Drive,
    Harvest,
    asked,
    request,
    requests,
    settings_for,
    text_of,
)


@pytest.mark.parametrize("workers", [1, 16, None])
def test_each_row_gets_its_own_answer(drive: Drive, workers: int | None) -> None:
    harvest = drive(ECHOES, workers=workers)
    assert harvest.texts() == ECHOES
    assert harvest.report is not None
    assert (harvest.report.done, harvest.report.failed) == (len(ECHOES), 0)


def test_nothing_to_do_is_done_at_once(drive: Drive, emulator: Emulator) -> None:
    assert drive([]).outcomes == {}
    assert emulator.requests == []


def test_one_worker_goes_in_order(drive: Drive, emulator: Emulator) -> None:
    drive(ECHOES[:30], workers=1)
    assert asked(emulator) == ECHOES[:30]


def test_no_row_is_left_behind_while_others_go(drive: Drive, emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=CHAT, status=429, after=10, times=1))
    emulator.faults.add(Fault(path=CHAT, status=503, after=20, times=5))
    harvest = drive(ECHOES[:100], workers=8)
    assert harvest.texts() == ECHOES[:100]
    finished = list(harvest.outcomes)
    late = [position - index for position, index in enumerate(finished)]
    assert max(late) <= 30


def test_rows_are_taken_as_they_are_sent(drive: Drive) -> None:
    harvest = Harvest()
    most_ahead = 0

    def texts() -> Iterator[str]:
        nonlocal most_ahead
        for index, text in enumerate(ECHOES):
            most_ahead = max(most_ahead, index - len(harvest.outcomes))
            yield text

    drive(texts(), harvest=harvest, workers=5)
    assert most_ahead <= 5


def test_no_more_requests_at_once_than_workers(drive: Drive, emulator: Emulator) -> None:
    emulator.latency = Latency(median=0.002)
    drive(ECHOES, workers=3)
    assert emulator.connections <= 3


def test_progress_is_reported_to_the_end(drive: Drive, emulator: Emulator) -> None:
    seen: list[OnlineProgress] = []
    drive([*ECHOES[:20], "[[fail 400]]"], total=21, on_progress=seen.append)
    assert seen[0].used == Usage()
    assert seen[-1].used.prompt > 0 < seen[-1].used.completion
    assert (seen[0].finished, seen[0].total) == (0, 21)
    assert (seen[-1].done, seen[-1].failed, seen[-1].under_way) == (20, 1, 0)
    assert seen[-1].per_second > 0


def test_own_choice_of_workers_is_said_once(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="oumi_fireworks")

    async def run() -> None:
        pump = Pump(settings_for(emulator, workers=None))
        for _ in range(2):
            await pump.run(requests(ECHOES[:3]), Harvest().take)
        await pump.close()

    asyncio.run(run())
    assert caplog.text.count("how many requests at once are worth it") == 1


def test_large_bodies_arrive_whole(drive: Drive) -> None:
    text = "[[echo]] " + "ä€𝄞 " * 60_000
    (answer,) = drive([text]).texts()
    assert answer == text[: 2048 * 4]  # where the emulator ends an answer without a bound


def test_a_caller_may_have_another_request_for_a_row(emulator: Emulator) -> None:
    """Until it has none the row is not finished."""
    said: dict[int, list[str]] = {0: [], 1: []}

    def take(index: int, outcome: Completion | FireworksError) -> dict[str, object] | None:
        assert not isinstance(outcome, FireworksError)
        said[index].append(text_of(outcome))
        turn = len(said[index])
        return request(f"[[echo]] {index} again {turn}") if turn <= 2 * index else None

    async def run() -> PumpReport:
        pump = Pump(settings_for(emulator))
        try:
            bodies = [(index, request(f"[[echo]] {index}")) for index in said]
            return await pump.run(bodies, take, total=2)
        finally:
            await pump.close()

    report = asyncio.run(run())
    assert said == {
        0: ["[[echo]] 0"],
        1: ["[[echo]] 1", "[[echo]] 1 again 1", "[[echo]] 1 again 2"],
    }
    assert (report.done, report.failed) == (2, 0)


def test_another_request_that_cannot_be_sent_is_an_outcome_too(emulator: Emulator) -> None:
    outcomes: list[Completion | FireworksError] = []

    def take(index: int, outcome: Completion | FireworksError) -> dict[str, object] | None:
        outcomes.append(outcome)
        return {"messages": {object()}} if len(outcomes) == 1 else None

    async def run() -> PumpReport:
        pump = Pump(settings_for(emulator))
        try:
            return await pump.run([(0, request("[[echo]]"))], take)
        finally:
            await pump.close()

    report = asyncio.run(run())
    assert isinstance(outcomes[1], InvalidRequestError)
    assert (report.done, report.failed) == (0, 1)
