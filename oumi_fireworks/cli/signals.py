"""SIGTERM and SIGHUP end a command as Ctrl-C does: cleaned up, and with its message."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A terminal that is closed sends SIGHUP; service managers, `kill` and `timeout` send SIGTERM.
_NAMES = ("SIGTERM", "SIGHUP")


@contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C while the block runs.

    What ignores them, as under ``nohup``, or handles them already goes on doing so.
    """
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
        signal.signal(number, _interrupt)
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
