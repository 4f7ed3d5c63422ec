"""Engines in batch mode, an emulator at a pace of choice, and a home of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator, Pace
from tests.engine.conftest import EngineFactory


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def emulator(pace: Pace) -> Iterator[Emulator]:
    """A fresh emulator, at which a small job takes some hundredths of a second."""
    with Emulator(speed=20_000 if pace == Pace() else 2_400, pace=pace) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def at_home(home: None) -> None:
    """All of these have a home of their own."""


@pytest.fixture
def make_batch_engine(make_engine: EngineFactory) -> EngineFactory:
    """Makes engines in batch mode that look often."""

    def make(**options: Any) -> FireworksInferenceEngine:
        return make_engine(**{"mode": "batch", "poll_interval": 0.02, **options})

    return make


@pytest.fixture
def engine(make_batch_engine: EngineFactory) -> FireworksInferenceEngine:
    return make_batch_engine()
