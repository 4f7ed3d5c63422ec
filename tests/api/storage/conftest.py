"""An emulator that stores a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.api.storage.support import CONTENT, put


@pytest.fixture
def stored(emulator: Emulator, tmp_path: Path) -> Emulator:
    """An emulator that holds CONTENT, and has forgotten how it got it."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    put(emulator, path)
    return emulator
