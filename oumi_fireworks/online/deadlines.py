"""How long exchanges may take, watched by one timer for all of them."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Deadlines"]

Task = asyncio.Task[Any]


class Deadlines:
    """Cancels what takes too long. All may take equally long, so whoever began first is due first.

    A timer for each, as aiohttp has them, takes a twentieth of a request. It belongs to the loop
    that runs when it is made.

    Args:
        seconds: How long; 0 for no limit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Task, float] = {}
        self._missed: set[Task] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def begin(self) -> Task:
        """Watch the running task until :meth:`end`, which is told what this returns."""
        task = asyncio.current_task(self._loop)
        assert task is not None
        if self._seconds:
            due = self._due[task] = self._loop.time() + self._seconds
            if self._timer is None:
                self._timer = self._loop.call_at(due, self._look)
        return task

    def end(self, task: Task) -> bool:
        """Watch a task no longer; tell whether it was cancelled because it was due, and only so."""
        self._due.pop(task, None)
        if task not in self._missed:
            return False
        self._missed.remove(task)
        return task.uncancel() == 0

    def close(self) -> None:
        """Cancel nothing any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Cancel what is due, and come back when the next one is."""
        self._timer = None
        now = self._loop.time()
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._look)
                return
            del self._due[task]
            self._missed.add(task)
            task.cancel()
