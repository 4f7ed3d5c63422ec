"""One timer for all exchanges: who is due is cancelled, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from oumi_fireworks.online.deadlines import Deadlines


async def watched(deadlines: Deadlines, until: asyncio.Event) -> str:
    """Wait for an event as long as a task may."""
    task = deadlines.begin()
    try:
        await until.wait()
        return "done"
    except asyncio.CancelledError:
        if deadlines.end(task):
            return "late"
        raise
    finally:
        deadlines.end(task)


def test_who_is_due_is_cancelled_and_others_go_on() -> None:
    async def run() -> list[str]:
        deadlines = Deadlines(0.05)
        never, soon = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(watched(deadlines, never))
        quick = asyncio.create_task(watched(deadlines, soon))
        await asyncio.sleep(0)
        soon.set()
        early = [await quick, await first]
        later = asyncio.create_task(watched(deadlines, never))  # when no timer is left
        return [*early, await later]

    assert asyncio.run(run()) == ["done", "late", "late"]


def test_a_task_that_was_late_may_be_watched_again() -> None:
    async def run() -> tuple[str, str, int]:
        deadlines = Deadlines(0.01)
        late = await watched(deadlines, asyncio.Event())
        there = asyncio.Event()
        there.set()
        task = asyncio.current_task()
        assert task is not None
        return late, await watched(deadlines, there), task.cancelling()

    assert asyncio.run(run()) == ("late", "done", 0)


@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_who_is_cancelled_by_others_is_not_late(seconds: float) -> None:
    async def run() -> None:
        task = asyncio.create_task(watched(Deadlines(seconds), asyncio.Event()))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_both_at_once_is_a_cancellation() -> None:
    async def run() -> None:
        deadlines = Deadlines(0.01)
        task = asyncio.create_task(watched(deadlines, asyncio.Event()))
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        both = loop.time() + 0.01
        loop.call_at(both, task.cancel)
        while loop.time() <= both:  # so that the loop finds both due in one turn
            pass
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_a_limit_of_nothing_cancels_nobody() -> None:
    async def run() -> str:
        there = asyncio.Event()
        task = asyncio.create_task(watched(Deadlines(0.0), there))
        await asyncio.sleep(0)
        there.set()
        return await task

    assert asyncio.run(run()) == "done"
