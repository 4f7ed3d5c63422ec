"""The emulator and the folder of the tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.batch.support import quick_emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose jobs take a few milliseconds."""
    with quick_emulator() as emulator:
        yield emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl.run"
