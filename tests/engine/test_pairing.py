"""Results go beside the prompts that were sent, and beside no others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine, PairingError
from oumi_fireworks.api import Connection, FireworksClient
from oumi_fireworks.batch import JobSpec, Request, ShardLimits, submit_new
from oumi_fireworks.emulator import Emulator, Fault
from tests.engine.conftest import MODEL, EngineFactory, ask, questions

Fetch = Callable[..., Any]


@pytest.fixture(params=["get_batch_results", "get_batch_results_partial", "retry_batch"])
def fetch(request: pytest.FixtureRequest, make_engine: EngineFactory) -> Fetch:
    """Each call that puts results beside conversations, on an engine that knows nothing else."""
    call: Fetch = getattr(make_engine(), request.param)
    return call


def submit_elsewhere(emulator: Emulator, texts: list[str], folder: Path) -> str:
    """Submit a batch as another client does, whose ids tell nothing of the prompts."""
    rows = [
        Request(index, {"messages": [{"role": "user", "content": text}]})
        for index, text in enumerate(texts)
    ]

    async def run() -> str:
        async with FireworksClient(Connection.from_environment(environ=emulator.env)) as client:
            return await submit_new(
                client, rows, JobSpec(MODEL), folder=folder, limits=ShardLimits(), concurrency=1
            )

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("spoil", "row"),
    [
        (lambda asked: asked.insert(1, asked.pop(2)), 1),  # swapped
        (lambda asked: asked.insert(0, ask("Something new")), 0),
        (lambda asked: asked.pop(0), 0),
        (lambda asked: asked.__setitem__(3, ask("Something else", conversation_id="x")), 3),
    ],
)
def test_another_input_is_refused_with_the_row_that_differs(
    engine: FireworksInferenceEngine,
    fetch: Fetch,
    at_emulator: Emulator,
    spoil: Callable[[list[Conversation]], None],
    row: int,
) -> None:
    batch_id = engine.infer_batch(questions(4))
    engine.wait_for_batch(batch_id)
    asked = questions(4)
    spoil(asked)
    with pytest.raises(PairingError, match=rf"^Conversation {row} .*not what was sent") as caught:
        fetch(batch_id, asked)
    assert caught.value.row == row
    assert len(at_emulator.jobs) == 1


def test_the_same_prompts_with_new_ids_and_metadata_are_the_same(
    engine: FireworksInferenceEngine,
) -> None:
    batch_id = engine.infer_batch(questions(2))
    engine.wait_for_batch(batch_id)
    asked = [each.model_copy(update={"metadata": {"label": 1}}) for each in questions(2)]
    answered = engine.get_batch_results(batch_id, asked)
    assert [each.metadata["label"] for each in answered] == [1, 1]


def test_pictures_of_answered_rows_need_not_be_there_any_more(
    engine: FireworksInferenceEngine, tmp_path: Path
) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n...")
    content = [
        {"type": "image_path", "content": str(picture)},
        {"type": "text", "content": "What is it?"},
    ]
    looked_at = Conversation.from_dict({"messages": [{"role": "user", "content": content}]})
    asked = [looked_at, ask("[[flaky 1]] please")]
    batch_id = engine.infer_batch(asked)
    engine.wait_for_batch(batch_id)
    picture.unlink()
    assert engine.get_batch_results_partial(batch_id, asked).failed_indices == [1]
    retry_id = engine.retry_batch(batch_id, asked)
    engine.wait_for_batch(retry_id)
    assert len(engine.get_batch_results([batch_id, retry_id], asked)) == 2


def test_the_input_of_another_client_s_batch_is_read_back(
    engine: FireworksInferenceEngine, at_emulator: Emulator, tmp_path: Path
) -> None:
    asked = questions(3)
    batch_id = submit_elsewhere(at_emulator, [str(each[0].content) for each in asked], tmp_path)
    engine.wait_for_batch(batch_id)
    assert len(engine.get_batch_results(batch_id, asked)) == 3
    with pytest.raises(PairingError, match=r"Conversation 0 is not what was sent .* 1 more"):
        engine.get_batch_results(batch_id, [asked[1], asked[0], asked[2]])


def test_where_nothing_tells_results_are_refused_unless_the_caller_insists(
    engine: FireworksInferenceEngine, at_emulator: Emulator, tmp_path: Path
) -> None:
    batch_id = submit_elsewhere(at_emulator, ["one", "two"], tmp_path)
    engine.wait_for_batch(batch_id)
    at_emulator.faults.add(Fault("GET", "-in:getDownloadEndpoint$", status=404, times=None))
    asked = [ask("one"), ask("two")]
    with pytest.raises(PairingError, match="unchecked=True"):
        engine.get_batch_results(batch_id, asked)
    assert len(engine.get_batch_results(batch_id, asked, unchecked=True)) == 2
