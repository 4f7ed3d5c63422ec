"""An emulator at work for a command of ours, and the signals meanwhile."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import typer

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.grammar import ended


@contextmanager
def running(emulator: Emulator) -> Iterator[None]:
    """Run an emulator for as long as the block lasts."""
    try:
        emulator.start()
    except OSError as error:
        say(f"The emulator cannot start: {ended(error.strerror or error)} Try another --port.")
        raise typer.Exit(1) from None
    try:
        yield
    finally:
        emulator.stop()


@contextmanager
def handling(numbers: Sequence[signal.Signals], handle: Callable[[int], None]) -> Iterator[None]:
    """Handle signals in this way for as long as the block lasts."""

    def handler(number: int, _frame: FrameType | None) -> None:
        handle(number)

    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def log_requests() -> None:
    """Log to stderr what the emulator is asked."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("oumi_fireworks.emulator")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    typer.echo(text, err=True)
