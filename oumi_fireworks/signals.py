"""SIGTERM and SIGHUP: a process that is told to end cleans up first, as after Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_Handler = Callable[[int, FrameType | None], Any]

_NAMES = ("SIGTERM", "SIGHUP")
"""Service managers, ``kill`` and ``timeout`` send SIGTERM; a terminal that is closed SIGHUP."""

_TURN = 0.5
"""Seconds that a wait lasts before signals are looked at again."""


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


def wait(event: threading.Event) -> None:
    """Wait for an event in the main thread, so that no signal is left unanswered.

    Python runs a signal's handler between two steps of the main thread. A signal that comes just
    before a wait for ever begins does not wake it: Ctrl-C would do nothing. So waiting has turns.
    """
    while not event.wait(_TURN):
        pass


def run_whole(coroutine: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a new event loop that no signal can catch half made.

    A loop that is interrupted while it is being made cannot be closed, and says so with a
    traceback when the process ends. So a signal that comes then waits until the loop is whole.

    Raises:
        KeyboardInterrupt: After the coroutine was cancelled and has cleaned up.
    """
    import asyncio  # here: every command loads this module, and --help needs no loop

    handlers, waiting = _let_signals_wait()
    try:
        with asyncio.Runner() as runner:
            _restore(handlers)
            for number in waiting:
                handlers[number](number, None)
            return runner.run(coroutine())
    finally:
        _restore(handlers)


def _let_signals_wait() -> tuple[dict[int, _Handler], list[int]]:
    """Note signals instead of handling them; return their handlers, and where they are noted.

    Masking them would not do: other threads would take them, and Python handles them here.
    """
    waiting: list[int] = []
    handlers: dict[int, _Handler] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, *_end_signals()):
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, lambda number, _: waiting.append(number))
    return handlers, waiting


def _restore(handlers: Mapping[int, _Handler]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _end_signals() -> list[signal.Signals]:
    """Return those of SIGTERM and SIGHUP that this system has."""
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


@contextmanager
def _handled(handler: _Handler) -> Iterator[None]:
    """Handle those signals that nobody else handles, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [each for each in _end_signals() if signal.getsignal(each) is signal.SIG_DFL]
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
