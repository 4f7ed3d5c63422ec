"""The queue in front of the service."""

from __future__ import annotations

import asyncio

import pytest

from oumi_fireworks.online.ceilings import Ceilings
from oumi_fireworks.online.gate import Gate
from oumi_fireworks.online.pacer import Pacer, Permit
from oumi_fireworks.online.rate_headers import SILENCE
from oumi_fireworks.online.tokens import NO_TOKENS, Tokens
from oumi_fireworks.online.window import Window


def new_gate(workers: int = 1) -> Gate:
    return Gate(Pacer(Window(workers), Ceilings()))


async def settle() -> None:
    """Let everything happen that can happen now."""
    for _ in range(5):
        await asyncio.sleep(0)


def entering(gate: Gate, order: int) -> asyncio.Task[Permit]:
    return asyncio.create_task(gate.enter(order, 100, NO_TOKENS))


def test_whoever_began_earlier_goes_first() -> None:
    async def run() -> list[int]:
        gate = new_gate()
        permit = await gate.enter(0, 100, NO_TOKENS)
        went: list[int] = []

        async def go(order: int) -> Permit:
            permit = await gate.enter(order, 100, NO_TOKENS)
            went.append(order)
            return permit

        waiting = {asyncio.create_task(go(order)) for order in (5, 2, 9)}
        await settle()
        while waiting:
            gate.answered(permit, SILENCE, NO_TOKENS)
            (gone,), waiting = await asyncio.wait(waiting, return_when="FIRST_COMPLETED")
            permit = gone.result()
        return went

    assert asyncio.run(run()) == [2, 5, 9]


def test_a_small_newcomer_does_not_overtake_a_large_one() -> None:
    async def run() -> None:
        gate = Gate(Pacer(Window(10), Ceilings(input_tokens=100)))
        gate.answered(
            await gate.enter(0, 100, NO_TOKENS), SILENCE, NO_TOKENS
        )  # no limit to the rate
        permit = await gate.enter(0, 100, Tokens(prompt=80))
        large = asyncio.create_task(gate.enter(1, 100, Tokens(prompt=80)))
        await settle()
        small = asyncio.create_task(gate.enter(2, 100, Tokens(prompt=5)))
        await settle()
        assert not small.done()
        gate.refused(permit, SILENCE)  # which frees what was set aside
        await large
        await small

    asyncio.run(run())


def test_who_gives_up_waiting_holds_up_nobody() -> None:
    async def run() -> None:
        gate = new_gate()
        permit = await gate.enter(0, 100, NO_TOKENS)
        first, second = entering(gate, 1), entering(gate, 2)
        await settle()
        first.cancel()
        gate.answered(permit, SILENCE, NO_TOKENS)
        await second

    asyncio.run(run())


def test_a_permit_that_is_given_to_who_just_gave_up_goes_to_the_next() -> None:
    async def run() -> None:
        gate = new_gate()
        permit = await gate.enter(0, 100, NO_TOKENS)
        first, second = entering(gate, 1), entering(gate, 2)
        await settle()
        gate.answered(permit, SILENCE, NO_TOKENS)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        assert gate.pacer.under_way == 1

    asyncio.run(run())
