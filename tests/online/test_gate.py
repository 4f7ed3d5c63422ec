"""The queue in front of the service."""

from __future__ import annotations

import asyncio

import pytest

from oumi_fireworks.online.ceilings import Ceilings, Tokens
from oumi_fireworks.online.gate import Gate
from oumi_fireworks.online.pacing import Leave, Pacer
from oumi_fireworks.online.signals import SILENCE
from oumi_fireworks.online.window import Window


def new_gate(workers: int = 1) -> Gate:
    return Gate(Pacer(Window(workers), Ceilings()))


async def settle() -> None:
    """Let everything happen that can happen now."""
    for _ in range(5):
        await asyncio.sleep(0)


def entering(gate: Gate, order: int) -> asyncio.Task[Leave]:
    return asyncio.create_task(gate.enter(order, Tokens()))


def test_whoever_began_earlier_goes_first() -> None:
    async def run() -> list[int]:
        gate = new_gate()
        leave = await gate.enter(0, Tokens())
        went: list[int] = []

        async def go(order: int) -> Leave:
            leave = await gate.enter(order, Tokens())
            went.append(order)
            return leave

        waiting = {asyncio.create_task(go(order)) for order in (5, 2, 9)}
        await settle()
        while waiting:
            gate.answered(leave, SILENCE, Tokens())
            (gone,), waiting = await asyncio.wait(waiting, return_when="FIRST_COMPLETED")
            leave = gone.result()
        return went

    assert asyncio.run(run()) == [2, 5, 9]


def test_a_small_newcomer_does_not_overtake_a_large_one() -> None:
    async def run() -> None:
        gate = Gate(Pacer(Window(10), Ceilings(input_tokens=100)))
        gate.answered(await gate.enter(0, Tokens()), SILENCE, Tokens())  # no limit to the rate
        leave = await gate.enter(0, Tokens(input=80))
        large = asyncio.create_task(gate.enter(1, Tokens(input=80)))
        await settle()
        small = asyncio.create_task(gate.enter(2, Tokens(input=5)))
        await settle()
        assert not small.done()
        gate.refused(leave, SILENCE)  # which frees what was set aside
        await large
        await small

    asyncio.run(run())


def test_who_gives_up_waiting_holds_up_nobody() -> None:
    async def run() -> None:
        gate = new_gate()
        leave = await gate.enter(0, Tokens())
        first, second = entering(gate, 1), entering(gate, 2)
        await settle()
        first.cancel()
        gate.answered(leave, SILENCE, Tokens())
        await second

    asyncio.run(run())


def test_leave_that_is_given_to_who_just_gave_up_goes_to_the_next() -> None:
    async def run() -> None:
        gate = new_gate()
        leave = await gate.enter(0, Tokens())
        first, second = entering(gate, 1), entering(gate, 2)
        await settle()
        gate.answered(leave, SILENCE, Tokens())
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        assert gate.pacer.under_way == 1

    asyncio.run(run())
