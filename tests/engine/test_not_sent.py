"""Online: rows that ask what another one asks, or that the cache knows, are not sent."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import (
    AnswerCacheError,
    IncompleteBatchError,
    InvalidRequestError,
    PairingError,
)
from tests.engine.conftest import MODEL, EngineFactory, ask

CHAT = "/chat/completions$"


def to(output: Path | None = None, **generation: Any) -> InferenceConfig:
    return InferenceConfig(
        model=ModelParams(model_name=MODEL),
        generation=GenerationParams(**generation),
        output_path=None if output is None else str(output),
    )


def rows(*texts: str) -> list[Conversation]:
    return [
        ask(f"{text} [[echo]]", conversation_id=f"{at}", metadata={"row": at})
        for at, text in enumerate(texts)
    ]


def said(conversations: list[Conversation]) -> list[str]:
    return [str(each.messages[-1].content).split()[0] for each in conversations]


def sent(emulator: Emulator) -> int:
    return len(emulator.requests_to("POST", CHAT))


def test_repeats_are_sent_once_and_each_keeps_what_is_its_own(
    make_engine: EngineFactory, at_emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oumi_fireworks")
    answered = make_engine().infer(rows("a", "b", "a", "b", "a"))
    assert said(answered) == ["a", "b", "a", "b", "a"]
    assert [each.conversation_id for each in answered] == ["0", "1", "2", "3", "4"]
    assert [each.metadata["row"] for each in answered] == [0, 1, 2, 3, 4]
    assert [each.metadata.get("answered_by") for each in answered] == [
        None, None, "repeat", "repeat", "repeat"
    ]  # fmt: skip
    assert sent(at_emulator) == 2
    assert "3 repeats of other rows" in caplog.text


@pytest.mark.parametrize(("options", "count"), [({}, 2), ({"dedupe": "on"}, 1)])
def test_rows_whose_answers_vary_are_all_sent_by_default(
    make_engine: EngineFactory, at_emulator: Emulator, options: dict[str, str], count: int
) -> None:
    make_engine(**options).infer(rows("a", "a"), to(temperature=0.7))
    assert sent(at_emulator) == count


def test_a_row_that_is_refused_is_refused_for_its_repeats(
    make_engine: EngineFactory, at_emulator: Emulator, tmp_path: Path
) -> None:
    engine = make_engine()
    with pytest.raises(InvalidRequestError, match="2 of 3"):
        engine.infer(rows("a [[fail 400]]", "b", "a [[fail 400]]"), to(tmp_path / "out.jsonl"))
    assert sent(at_emulator) == 2


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_what_one_run_has_paid_for_another_one_has_in_either_mode(
    make_engine: EngineFactory, at_emulator: Emulator, tmp_path: Path, mode: str
) -> None:
    options = {"cache": str(tmp_path / "cache"), "poll_interval": 0.02}
    other = {"online": "batch", "batch": "online"}[mode]
    make_engine(mode=mode, run_dir=str(tmp_path / "1"), **options).infer(rows("a", "b"))
    engine = make_engine(mode=other, run_dir=str(tmp_path / "2"), **options)
    answered = engine.infer(rows("b", "c", "a", "b"))
    assert said(answered) == ["b", "c", "a", "b"]
    assert [each.metadata.get("answered_by") for each in answered] == [
        "cache", None, "cache", "cache"
    ]  # fmt: skip
    assert sent(at_emulator) + at_emulator.ledger.rows == 3


def test_a_cache_that_cannot_be_used_is_said_before_anything_is_sent(
    make_engine: EngineFactory, at_emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for mode in ("online", "batch"):
        engine = make_engine(mode=mode, cache=str(tmp_path / "file"), run_dir=str(tmp_path / "r"))
        with pytest.raises(AnswerCacheError, match="Nothing was sent"):
            engine.infer(rows("a"))
    assert not sent(at_emulator)
    assert not at_emulator.datasets


def test_results_by_id_share_what_a_run_has_asked_once(
    make_engine: EngineFactory, at_emulator: Emulator, tmp_path: Path
) -> None:
    asked = rows("a", "b", "a", "c [[fail 400]]", "b", "c [[fail 400]]")
    runs = make_engine(mode="batch", poll_interval=0.02, row_retries=0, run_dir=str(tmp_path))
    runs.infer_partial(asked)
    assert at_emulator.ledger.rows == 3
    [job] = at_emulator.jobs
    reads = make_engine(cost_in_metadata=True, price={"input": 1, "output": 1})
    found = reads.get_batch_results_partial(job.id, asked)
    assert sorted(found.failed_indices) == [3, 5]
    assert [at for at, _ in found.successful] == [0, 1, 2, 4]
    answered = [each for _, each in found.successful]
    assert said(answered) == ["a", "b", "a", "b"]
    assert [each.metadata["row"] for each in answered] == [0, 1, 2, 4]
    assert [each.metadata.get("answered_by") for each in answered] == [
        None, None, "repeat", "repeat"
    ]  # fmt: skip
    assert [each.metadata["cost"] > 0 for each in answered] == [True, True, False, False]
    with pytest.raises(IncompleteBatchError) as error:
        reads.get_batch_results(job.id, asked)
    assert len(error.value.partial.successful) == 4
    for others in (asked[1:] + asked[:1], [*asked[:2], *rows("x"), *asked[3:]]):
        with pytest.raises(PairingError):
            reads.get_batch_results(job.id, others)
    further = reads.retry_batch(job.id, asked)
    at_emulator.clock.advance(3600)
    assert at_emulator.ledger.rows == 4
    again = reads.get_batch_results_partial([job.id, further], asked)
    assert sorted(again.failed_indices) == [3, 5]


def test_all_results_by_id_of_a_run_with_repeats(
    make_engine: EngineFactory, at_emulator: Emulator, tmp_path: Path
) -> None:
    asked = rows("a", "a", "b", "a")
    make_engine(mode="batch", poll_interval=0.02, run_dir=str(tmp_path)).infer(asked)
    [job] = at_emulator.jobs
    answered = make_engine().get_batch_results(job.id, asked)
    assert said(answered) == ["a", "a", "b", "a"]
    assert [each.conversation_id for each in answered] == ["0", "1", "2", "3"]
    assert at_emulator.ledger.rows == 2
