"""SIGTERM and SIGHUP: a process that is told to end cleans up first, as after Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

# A terminal that is closed sends SIGHUP; service managers, `kill` and `timeout` send SIGTERM.
_NAMES = ("SIGTERM", "SIGHUP")


@contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C while the block runs.

    What ignores them, as under ``nohup``, or handles them already goes on doing so.
    """
    with _handled(_interrupt):
        yield


@contextmanager
def ended_after_cleanup() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the process only after the block has cleaned up.

    In the block they raise what Ctrl-C raises. At its end the process dies of the signal, as it
    would have done without this: nobody's ``except KeyboardInterrupt`` keeps it alive.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        _interrupt(number, frame)

    try:
        with _handled(interrupt):
            yield
    finally:
        if received:
            os.kill(os.getpid(), received[0])


def run_whole(coroutine: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a new event loop that no signal can catch half made.

    A loop that is interrupted while it is being made cannot be closed, and says so with a
    traceback when the process ends.

    Raises:
        KeyboardInterrupt: After the coroutine was cancelled and has cleaned up.
    """
    held = _hold_signals()
    try:
        with asyncio.Runner() as runner:
            _release_signals(held)
            return runner.run(coroutine())
    finally:
        _release_signals(held)


def _hold_signals() -> set[signal.Signals] | None:
    """Let signals that end a command wait; return what waited before, None without such a thing."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return None
    ours = {signal.SIGINT, *(getattr(signal, name) for name in _NAMES)}
    return {signal.Signals(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ours)}


def _release_signals(held: set[signal.Signals] | None) -> None:
    if held is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle those signals that nobody else handles, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [
        number
        for name in _NAMES
        if (number := getattr(signal, name, None)) is not None
        and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Do what Ctrl-C does now: asyncio has put its own handler there while it runs."""
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(number, frame)
    else:  # a shell lets its background jobs ignore SIGINT
        raise KeyboardInterrupt
