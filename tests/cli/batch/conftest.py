"""The command in this process, on an emulator, so that Oumi loads once for all of them."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.cli import main
from oumi_fireworks.emulator import Emulator
from tests.batch.nursery import Nursery
from tests.cli.batch.support import CONFIG, Command, Ended, Keyboard


@pytest.fixture
def at_emulator(at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Emulator:
    """The emulator, with the environment that leads a user there, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return at_emulator


@pytest.fixture
def fireworks(
    at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsysbinary: Any
) -> Iterator[Command]:
    """Runs ``oumi-fireworks`` with some arguments, and what is piped into it or typed."""

    def run(*arguments: object, stdin: bytes = b"", typed: str | None = None) -> Ended:
        # What the system gives a process, `main` reads itself: nothing of ours is replaced.
        monkeypatch.setattr(sys, "argv", ["oumi-fireworks", *map(str, arguments)])
        pipe = io.TextIOWrapper(io.BytesIO(stdin)) if typed is None else Keyboard(typed)
        monkeypatch.setattr(sys, "stdin", pipe)
        with pytest.raises(SystemExit) as end:
            main()
        code = end.value.code
        captured = capsysbinary.readouterr()
        return Ended(
            code if isinstance(code, int) else int(code is not None),
            captured.out.decode(),
            captured.err.decode(),
        )

    loggers = [logging.getLogger(name) for name in ("oumi_fireworks", "oumi")]
    before = [(list(each.handlers), each.propagate, each.level) for each in loggers]
    yield run
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Runs commands that may be killed."""
    with Nursery(Path(__file__).with_name("command_child.py")) as nursery:
        yield nursery
