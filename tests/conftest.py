"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

from oumi_fireworks.emulator import Emulator

# A busy machine is no reason to fail.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# What takes minutes elsewhere until it is believed is believed within moments here, also by the
# processes that tests start.
os.environ["OUMI_FIREWORKS_GONE_AFTER"] = "0.05"
os.environ["OUMI_FIREWORKS_RESULTS_TIMEOUT"] = "0.2"

if threading.current_thread() is threading.main_thread():
    # A job in a shell's background or under nohup, as in some CI, begins with Ctrl-C or with the
    # end of the terminal ignored, and so do all its children: what interrupts them in a test would
    # have no effect.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def lead_to(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment that leads a user to an emulator."""
    for name, value in emulator.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A fresh emulator in this process, whose jobs take a fraction of a second."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def at_emulator(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, with the environment that leads a user there."""
    lead_to(emulator, monkeypatch)
    return emulator
