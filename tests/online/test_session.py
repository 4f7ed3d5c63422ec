"""Connections: kept between calls, given up when they are stale, closed at the end."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import ConnectionFailedError, MalformedAnswerError
from oumi_fireworks.loop import BackgroundLoop
from oumi_fireworks.online import Pump, PumpSettings
from tests.online.conftest import Harvest, request, requests, settings_for, text_of
from tests.online.servers import COMPLETION, answer, read_request, serving

ROOT = Path(__file__).parents[2]


async def ask(pump: Pump, text: str = "x") -> Any:
    """Send one row and return its outcome."""
    harvest = Harvest()
    await pump.run([(0, request(text))], harvest.take)
    return harvest.outcomes[0]


def test_calls_on_a_background_loop_share_connections(emulator: Emulator) -> None:
    loop = BackgroundLoop()
    pump = Pump(settings_for(emulator, workers=1))
    for turn in range(5):
        assert text_of(loop.run(ask(pump, f"[[echo]] {turn}"))) == f"[[echo]] {turn}"
    assert emulator.connections == 1
    loop.close()


def test_a_running_loop_of_the_caller_is_no_obstacle(emulator: Emulator) -> None:
    loop = BackgroundLoop()
    pump = Pump(settings_for(emulator, workers=1))

    async def notebook_cell(text: str) -> str:
        return text_of(loop.run(ask(pump, text)))

    assert asyncio.run(notebook_cell("[[echo]] one")) == "[[echo]] one"
    assert asyncio.run(notebook_cell("[[echo]] two")) == "[[echo]] two"
    assert emulator.connections == 1
    loop.close()


def test_the_end_of_the_loop_closes_the_connections(emulator: Emulator) -> None:
    loop = BackgroundLoop()
    pump = Pump(settings_for(emulator))
    loop.run(ask(pump))
    gc.collect()  # what others have left behind is not to be complained about here
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loop.close()
        del pump
        gc.collect()


def test_another_loop_gets_connections_of_its_own(emulator: Emulator) -> None:
    pump = Pump(settings_for(emulator, workers=1))

    async def use() -> None:
        assert isinstance(await ask(pump), dict)
        await pump.close()

    asyncio.run(use())
    asyncio.run(use())
    assert emulator.connections == 2


def test_a_connection_that_the_server_closed_meanwhile_costs_no_retry() -> None:
    served = 0

    async def one_answer_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await read_request(reader)
        writer.write(answer(COMPLETION))
        served += 1
        # It hangs up on the next request, as a server does whose patience ends just then.
        await read_request(reader)

    async def run() -> None:
        async with serving(one_answer_each) as url:
            pump = Pump(PumpSettings(url=url, workers=1, max_retries=0))
            for _ in range(3):
                assert text_of(await ask(pump)) == "hello"
            await pump.close()

    asyncio.run(run())
    assert served == 3


def test_a_new_connection_that_breaks_does_cost_a_retry() -> None:
    tries = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        await read_request(reader)
        tries += 1

    async def run() -> None:
        async with serving(hang_up) as url:
            pump = Pump(PumpSettings(url=url, workers=1, max_retries=1, backoff_base=0.001))
            outcome = await ask(pump)
            await pump.close()
        assert isinstance(outcome, ConnectionFailedError)

    asyncio.run(run())
    assert tries == 2


def test_an_answer_that_breaks_on_a_kept_connection_is_a_failure() -> None:
    tries = 0

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        await read_request(reader)
        writer.write(answer(COMPLETION))
        await read_request(reader)
        tries += 1
        writer.write(answer(COMPLETION)[:-10])

    async def run() -> None:
        async with serving(break_off) as url:
            pump = Pump(PumpSettings(url=url, workers=1, max_retries=0))
            await ask(pump)
            outcome = await ask(pump)
            await pump.close()
        assert isinstance(outcome, ConnectionFailedError)

    asyncio.run(run())
    assert tries == 1


def test_an_answer_without_end_is_given_up() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
        while True:
            writer.write(piece)
            sent += 1
            await writer.drain()

    async def run() -> None:
        async with serving(flood) as url:
            pump = Pump(PumpSettings(url=url, workers=1, max_retries=0))
            outcome = await ask(pump)
            await pump.close()
        assert isinstance(outcome, MalformedAnswerError)
        assert "no end" in str(outcome)

    asyncio.run(run())
    assert sent < 80


def test_an_answer_that_drips_for_ever_times_out() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(1_000_000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def run() -> None:
        async with serving(drip) as url:
            pump = Pump(PumpSettings(url=url, workers=1, max_retries=0, timeout=0.2))
            outcome = await ask(pump)
            await pump.close()
        assert isinstance(outcome, ConnectionFailedError)
        assert "timed out" in str(outcome)

    asyncio.run(run())


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no fork")
def test_a_forked_child_leaves_its_parents_connection_alone(emulator: Emulator) -> None:
    code = """
        import os, sys
        from oumi_fireworks.loop import BackgroundLoop
        from oumi_fireworks.online import Pump, PumpSettings
        from tests.online.conftest import request

        loop = BackgroundLoop()
        pump = Pump(PumpSettings(
            url=sys.argv[1] + "/inference/v1/chat/completions",
            headers={"Authorization": "Bearer " + sys.argv[2]},
            workers=1,
            max_retries=0,
        ))

        def ask():
            outcomes = []
            loop.run(pump.run([(0, request("x"))], lambda _, outcome: outcomes.append(outcome)))
            assert isinstance(outcomes[0], dict), outcomes

        ask()
        child = os.fork()
        if child == 0:
            ask()
            ask()
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        ask()
    """
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "always",
            # Python 3.12 and later warn of every fork beside a thread, which is what this is about.
            "-W",
            "ignore:This process:DeprecationWarning",
            "-c",
            textwrap.dedent(code),
            emulator.url,
            emulator.api_key,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert len(emulator.requests_to("POST")) == 4
    assert emulator.connections == 2


def test_many_threads_may_share_a_pump(emulator: Emulator) -> None:
    from concurrent.futures import ThreadPoolExecutor

    loop = BackgroundLoop()
    pump = Pump(settings_for(emulator, workers=4))

    def use(turn: int) -> list[str]:
        harvest = Harvest()
        texts = [f"[[echo]] {turn}/{row}" for row in range(10)]
        loop.run(pump.run(requests(texts), harvest.take))
        assert harvest.texts() == texts
        return harvest.texts()

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(use, range(16)))) == 16
    assert emulator.connections <= 4
    loop.close()


def test_workers_work_at_the_same_time() -> None:
    together = 4
    arrived = 0

    async def run() -> Harvest:
        everybody = asyncio.Event()

        async def wait_for_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal arrived
            while True:
                await read_request(reader)
                arrived += 1
                if arrived == together:
                    everybody.set()
                await everybody.wait()
                writer.write(answer(COMPLETION))

        harvest = Harvest()
        async with serving(wait_for_all) as url:
            pump = Pump(PumpSettings(url=url, workers=together, timeout=20.0, max_retries=0))
            await pump.run(requests(map(str, range(20))), harvest.take)
            await pump.close()
        return harvest

    assert asyncio.run(run()).texts() == ["hello"] * 20
