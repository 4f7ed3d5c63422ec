"""``mode: batch``: Oumi's ``infer`` through the Batch API, where all goes well."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator
from tests.engine.batch_mode.support import (
    assert_answers,
    assert_no_chat,
    folder_of,
    to,
    uploads,
)
from tests.engine.conftest import EngineFactory, ask, questions, read


@pytest.mark.parametrize("has_output", [True, False])
def test_infer_runs_as_a_batch(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path, has_output: bool
) -> None:
    conversations = [
        ask(f"What is number {index}?", conversation_id=f"c{index}", metadata={"topic": index})
        for index in range(5)
    ]
    answered = engine.infer(conversations, to(output if has_output else None))
    assert_answers(answered)
    assert [conversation.conversation_id for conversation in answered] == [
        "c0", "c1", "c2", "c3", "c4",
    ]  # fmt: skip
    assert [conversation.metadata["topic"] for conversation in answered] == [0, 1, 2, 3, 4]
    assert answered[0].metadata["usage"]["total_tokens"] > 0
    assert uploads(at_emulator) == [5]
    assert len(at_emulator.jobs) == 1
    assert_no_chat(at_emulator)
    if has_output:
        assert [Conversation.from_dict(row) for row in read(output)] == answered


def test_nothing_but_the_output_is_left_on_the_disk(
    engine: FireworksInferenceEngine, output: Path, tmp_path: Path
) -> None:
    engine.infer(questions(2), to(output))
    engine.infer(questions(2))
    cache = tmp_path / "cache"  # where a mark says that the output is finished
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if not path.is_relative_to(cache)] == [output]
    assert not folder_of(output).exists()


def test_infer_partial_runs_as_a_batch(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path
) -> None:
    result = engine.infer_partial(questions(3), to(output))
    assert not result.has_failures
    assert [index for index, _ in result.successful] == [0, 1, 2]
    assert_answers([conversation for _, conversation in result.successful])
    assert len(read(output)) == 3
    assert_no_chat(at_emulator)


def test_each_shard_is_a_job(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    assert_answers(make_batch_engine(max_shard_rows=2).infer(questions(5), to(output)))
    assert sorted(uploads(at_emulator)) == [1, 2, 2]
    assert len(at_emulator.jobs) == 3


def test_a_handful_of_rows_goes_online(
    make_batch_engine: EngineFactory, at_emulator: Emulator
) -> None:
    engine = make_batch_engine(batch_min_rows=3)
    assert_answers(engine.infer(questions(2)))
    assert not engine.infer_partial(questions(2)).has_failures
    assert not at_emulator.jobs
    assert len(at_emulator.requests_to("POST", "chat/completions")) == 4
    assert_answers(engine.infer(questions(3)))
    assert len(at_emulator.jobs) == 1


def test_a_handful_of_rows_with_a_key_is_the_batch_that_the_key_names(
    make_batch_engine: EngineFactory, at_emulator: Emulator
) -> None:
    engine = make_batch_engine(batch_min_rows=3, key="etl")
    assert_answers(engine.infer(questions(2)))
    assert len(at_emulator.jobs) == 1
    assert not at_emulator.requests_to("POST", "chat/completions")


def test_no_conversations_make_no_batch(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    assert engine.infer([]) == []
    assert engine.infer_partial([]).successful == []
    assert not at_emulator.requests


def test_it_works_inside_a_running_loop(engine: FireworksInferenceEngine) -> None:
    async def notebook() -> list[Conversation]:
        return engine.infer(questions(2))

    assert_answers(asyncio.run(notebook()))


def test_datasets_can_be_removed_at_the_end(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    engine = make_batch_engine(delete_datasets=True, max_shard_rows=1)
    assert_answers(engine.infer(questions(2), to(output)))
    assert [dataset.deleted for dataset in at_emulator.datasets] == [True] * 4
