"""The example of online inference in a Ray dataset: what an actor does, without the actors."""

from __future__ import annotations

import importlib.util
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oumi_fireworks.emulator import Emulator
from tests.conftest import lead_to

EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_online.py"


def an_actor(example: Any) -> Any:
    """Return what an actor has, its configuration as it has come from the driver."""
    config = example.InferenceConfig.from_yaml(str(EXAMPLE.with_suffix(".yaml")))
    return example.Classifier(pickle.loads(pickle.dumps(config)))


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    spec = importlib.util.spec_from_file_location("ray_online", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_actors_share_what_the_limiter_gives_and_lose_no_row(
    example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 150
    with Emulator(limits="fireworks") as emulator:
        lead_to(emulator, monkeypatch)
        tables = [
            pa.table({"text": [f"[[reply {actor}-{row}]]" for row in range(rows)]})
            for actor in range(2)
        ]
        actors = [an_actor(example) for _ in tables]
        with ThreadPoolExecutor() as threads:
            done = list(threads.map(lambda actor, table: actor(table), actors, tables))
    for number, table in enumerate(done):
        assert table["answer"].to_pylist() == [f"{number}-{row}" for row in range(rows)]


def test_a_row_that_fails_has_no_answer_and_stops_no_other(
    example: Any, at_emulator: Emulator
) -> None:
    table = pa.table({"text": ["[[reply one]]", "[[fail 400]]", "[[reply three]]"]})
    assert an_actor(example)(table)["answer"].to_pylist() == ["one", None, "three"]
