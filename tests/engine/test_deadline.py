"""The option ``deadline`` with ``mode: batch``: the rest runs online, in the same call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator, Pace
from tests.engine.conftest import EngineFactory, questions


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """One whose jobs begin, and go on for ever."""
    with Emulator(speed=2_000, pace=Pace(running=80_000_000, per_row=80_000_000)) as emulator:
        yield emulator


def test_what_is_late_is_answered_online(
    make_engine: EngineFactory, at_emulator: Emulator, tmp_path: Path
) -> None:
    engine = make_engine(mode="batch", poll_interval=0.02, deadline="1s", run_dir=str(tmp_path))
    answered = engine.infer(questions(3))
    assert [str(each.messages[-1].content) for each in answered]
    assert len(answered) == 3
    assert len(at_emulator.requests_to("POST", "/chat/completions$")) == 3
    assert at_emulator.ledger.rows == 0
