"""The option ``key``: one batch for one input, whoever asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch.ids import stem_of_key
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import IncompleteBatchError, KeyTakenError
from tests.engine.conftest import MODEL, EngineFactory, ask, questions


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(speed=20_000) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_submitted_twice_it_is_one_batch(make_engine: EngineFactory, emulator: Emulator) -> None:
    batch = stem_of_key("mine")
    assert make_engine().infer_batch(iter(questions(2)), key="mine") == batch
    assert make_engine(key="mine").infer_batch(questions(2)) == batch
    with pytest.raises(KeyTakenError, match="has 2 rows, not 3"):
        make_engine(key="mine").infer_batch(questions(3))
    assert [job.id for job in emulator.jobs] == [batch]


def test_inferred_elsewhere_it_is_one_batch(
    make_engine: EngineFactory, emulator: Emulator, tmp_path: Path
) -> None:
    answers = []
    for name in ("here", "elsewhere"):
        engine = make_engine(mode="batch", poll_interval=0.02, key="mine")
        answers.append(engine.infer(questions(3), config_to(tmp_path / f"{name}.jsonl")))
    assert texts(answers[0]) == texts(answers[1])
    assert [job.id for job in emulator.jobs] == [stem_of_key("mine")]


def test_what_is_left_of_an_input_is_a_batch_of_its_own(
    make_engine: EngineFactory, emulator: Emulator, tmp_path: Path
) -> None:
    rows = [*questions(2), ask("[[flaky]]")]
    engine = make_engine(mode="batch", poll_interval=0.02, key="mine", row_retries=0)
    with pytest.raises(IncompleteBatchError):
        engine.infer(rows, config_to(tmp_path / "out.jsonl"))
    assert len(engine.infer(rows, config_to(tmp_path / "out.jsonl"))) == 3
    assert [job.rows for job in emulator.jobs] == [3, 1]
    assert emulator.jobs[0].id == stem_of_key("mine")


def config_to(output: Path) -> InferenceConfig:
    return InferenceConfig(
        model=ModelParams(model_name=MODEL),
        generation=GenerationParams(),
        output_path=str(output),
    )


def texts(conversations: list[Conversation]) -> list[object]:
    return [each.messages[-1].content for each in conversations]
