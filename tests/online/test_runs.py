"""A pump's runs: cancelled, begun again, one beside another, and at a pace of their own."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from oumi_fireworks.emulator import Emulator, Latency
from oumi_fireworks.errors import FireworksError
from oumi_fireworks.online import Completion, Pump
from tests.online.conftest import (
    ECHOES,
    Drive,
    Harvest,
    asked,
    gaps,
    requests,
    settings_for,
)


def test_cancelled_in_the_middle_it_can_run_again(emulator: Emulator) -> None:
    async def run() -> Harvest:
        pump = Pump(settings_for(emulator, workers=4))
        harvest = Harvest()
        ten = asyncio.Event()

        def take(index: int, outcome: Completion | FireworksError) -> None:
            harvest.take(index, outcome)
            if len(harvest.outcomes) == 10:
                ten.set()

        emulator.latency = Latency(median=0.01)
        task = asyncio.create_task(pump.run(requests(ECHOES), take))
        await ten.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert len(harvest.outcomes) < len(ECHOES)
        rest = [pair for pair in requests(ECHOES) if pair[0] not in harvest.outcomes]
        await pump.run(rest, harvest.take)
        await pump.close()
        return harvest

    assert asyncio.run(run()).texts() == ECHOES


def test_a_server_that_dies_and_comes_back_costs_no_row() -> None:
    first = Emulator()
    first.start()
    port = int(first.url.rpartition(":")[2])
    dead = threading.Event()
    successors: list[Emulator] = []

    def come_back() -> None:
        dead.wait()
        # Between the two is a moment that somebody meets: the first to come is hung up on.
        with socket.create_server(("127.0.0.1", port)) as nobody:
            nobody.settimeout(30)
            nobody.accept()[0].close()
        successors.append(Emulator(port=port, key=first.api_key))
        successors[0].start()

    class Killer(Harvest):
        def take(self, index: int, outcome: Completion | FireworksError) -> None:
            super().take(index, outcome)
            if len(self.outcomes) == 50:
                first.stop()
                dead.set()

    harvest = Killer()

    async def run() -> None:
        pump = Pump(settings_for(first, backoff_base=0.05, backoff_max=0.5, max_retries=20))
        harvest.report = await pump.run(requests(ECHOES), harvest.take)
        await pump.close()

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        asyncio.run(run())
    finally:
        first.stop()
        dead.set()
        thread.join()
        successors[0].stop()
    assert harvest.texts() == ECHOES
    assert harvest.report is not None
    assert harvest.report.retries > 0


def test_runs_that_overlap_share_the_pace(emulator: Emulator) -> None:
    async def run() -> None:
        pump = Pump(settings_for(emulator, workers=2))
        left, right = Harvest(), Harvest()
        await asyncio.gather(
            pump.run(requests(ECHOES[:50]), left.take),
            pump.run(requests(ECHOES[50:100]), right.take),
        )
        await pump.close()
        assert left.texts() + right.texts() == ECHOES[:100]

    asyncio.run(run())
    assert emulator.connections <= 2


def test_ceilings_outlast_a_run(emulator: Emulator) -> None:
    async def run() -> None:
        pump = Pump(settings_for(emulator, requests_per_minute=3))
        await pump.run(requests(ECHOES[:3]), Harvest().take)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pump.run(requests(ECHOES[:3]), Harvest().take)
        await pump.close()

    asyncio.run(run())
    assert len(asked(emulator)) == 3


def test_a_polite_worker_rests_between_requests(drive: Drive, emulator: Emulator) -> None:
    drive(ECHOES[:4], workers=1, politeness=0.1)
    assert min(gaps(emulator)) >= 0.09


def test_a_polite_worker_does_not_rest_after_its_last_request(drive: Drive) -> None:
    harvest = drive(ECHOES[:2], workers=2, politeness=60.0)
    assert harvest.report is not None
    assert harvest.report.seconds < 10
