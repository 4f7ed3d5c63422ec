"""Several things at once, of which none outlives a failure of another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def all_of(steps: Iterable[Awaitable[T]], *, at_once: int) -> list[T]:
    """Await all of them, some at a time.

    Args:
        steps: What to await. Give a generator or a ``map``: each step is made when its turn has
            come, so that none is left over after an error.
        at_once: How many are under way at the same time, at the most.

    Returns:
        Their results, in their order.

    Raises:
        BaseException: The first error; by then the others are cancelled and have let go.
    """
    numbered = enumerate(steps)
    results: dict[int, T] = {}

    async def work() -> None:
        for number, step in numbered:
            results[number] = await step

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    return [results[number] for number in sorted(results)]


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
