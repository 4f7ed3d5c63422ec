"""Fixtures: an emulator in which jobs and datasets move only when the test moves the clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oumi_fireworks.emulator import Emulator
from tests.emulator.service import Service


@pytest.fixture
def still() -> Iterator[Emulator]:
    """An emulator whose jobs move only with `clock.advance`."""
    with Emulator(speed=0) as emulator:
        yield emulator


@pytest.fixture
def service(still: Emulator) -> Iterator[Service]:
    """A client of the still emulator."""
    service = Service(still)
    yield service
    service.close()
