"""Rows of a batch that fail under ``infer`` and ``infer_partial``, and are run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import RemoteParams
from oumi.core.inference.base_inference_engine import InferenceErrorType
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import IncompleteBatchError
from tests.engine.batch_mode.support import (
    STANDSTILL,
    assert_answers,
    assert_no_chat,
    at_first_look,
    cached_runs,
    job_ids,
    scratch_rows,
    to,
    uploads,
)
from tests.engine.conftest import EngineFactory, ask, questions, read


def test_a_failed_row_is_run_again_alone(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    answered = engine.infer([ask("number 0? [[flaky 1]]"), ask("number 1?"), ask("number 2?")])
    assert_answers(answered)
    assert uploads(at_emulator) == [3, 1]
    first, second = job_ids(at_emulator)
    assert second == f"{first}-r1"


@pytest.mark.parametrize("retries", [0, 2])
def test_rows_are_run_again_as_often_as_allowed(
    make_batch_engine: EngineFactory, at_emulator: Emulator, retries: int
) -> None:
    with pytest.raises(IncompleteBatchError):
        make_batch_engine(row_retries=retries).infer([*questions(2), ask("[[fail]]")])
    assert uploads(at_emulator) == [3] + [1] * retries


@pytest.mark.parametrize("has_output", [True, False])
@pytest.mark.parametrize("retries", [0, 1])
def test_an_answer_that_oumi_cannot_hold_is_run_again(
    make_batch_engine: EngineFactory,
    at_emulator: Emulator,
    output: Path,
    retries: int,
    has_output: bool,
) -> None:
    def write(job: Any, rows: list[dict[str, Any]]) -> dict[str, bytes]:
        if not job.id.endswith("-r1"):
            for row in rows[1:2]:
                row["response"]["choices"][0]["message"]["tool_calls"] = [{"id": 3}]
        return {"BIJOutputSet.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in rows)}

    at_emulator.output_writer = write
    engine, config = make_batch_engine(row_retries=retries), to(output if has_output else None)
    if not retries:
        with pytest.raises(IncompleteBatchError, match="the same call runs the others again"):
            engine.infer(questions(3), config)
    assert_answers(engine.infer(questions(3), config))
    assert uploads(at_emulator) == [3, 1]


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("has_output", [True, False])
def test_after_failed_rows_the_same_call_runs_only_those(
    make_batch_engine: EngineFactory,
    at_emulator: Emulator,
    output: Path,
    has_output: bool,
    retries: int,
) -> None:
    def conversations() -> list[Conversation]:
        return [ask("number 0?"), ask(f"number 1? [[flaky {retries + 1}]]"), ask("number 2?")]

    config = to(output if has_output else None)
    with pytest.raises(IncompleteBatchError, match="1 of 3 rows has no answer") as caught:
        make_batch_engine(row_retries=retries).infer(conversations(), config)
    assert caught.value.counts == {"answered": 2, "rejected": 0, "failed": 1, "missing": 0}
    assert [index for index, _ in caught.value.partial.successful] == [0, 2]
    assert not output.exists()
    if has_output:
        assert scratch_rows(output) == 2
    before = uploads(at_emulator)
    assert before == [3, 1][: 1 + retries]
    answered = make_batch_engine(row_retries=retries).infer(conversations(), config)
    assert_answers(answered)
    assert uploads(at_emulator) == [*before, 1]
    assert_no_chat(at_emulator)


@pytest.mark.parametrize("pace", [STANDSTILL])
def test_rows_of_a_cancelled_batch_are_run_by_the_same_call(
    engine: FireworksInferenceEngine, at_emulator: Emulator, tmp_path: Path
) -> None:
    def cancel_then_complete(job_id: str) -> None:
        if job_id.endswith("-r1"):
            at_emulator.set_job(job_id, state="JOB_STATE_COMPLETED")
        else:
            at_emulator.set_job(job_id, state="JOB_STATE_CANCELLED", rows=3)

    with at_first_look(cancel_then_complete):
        with pytest.raises(IncompleteBatchError, match="CANCELLED, and 2 of 5 rows"):
            engine.infer(questions(5))
        assert len(cached_runs(tmp_path)) == 1
        assert_answers(engine.infer(questions(5)))
    assert uploads(at_emulator) == [5, 2]
    assert not cached_runs(tmp_path)


@pytest.mark.parametrize("pace", [STANDSTILL])
def test_an_expired_batch_is_continued_without_another_upload(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path
) -> None:
    def expire_then_complete(job_id: str) -> None:
        if job_id.endswith("-r1"):
            at_emulator.set_job(job_id, state="JOB_STATE_COMPLETED")
        else:
            at_emulator.set_job(job_id, state="JOB_STATE_EXPIRED", rows=4)

    with at_first_look(expire_then_complete):
        assert_answers(engine.infer(questions(6), to(output)))
    assert uploads(at_emulator) == [6]
    assert [job.rows for job in at_emulator.jobs] == [6, 2]


def test_infer_partial_returns_failures_and_saves_the_rest(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path
) -> None:
    def conversations() -> list[Conversation]:
        return [ask("number 0?"), ask("[[fail]]"), ask("number 2? [[flaky 2]]"), ask("[[drop]]")]

    first = engine.infer_partial(conversations(), to(output))
    assert [index for index, _ in first.successful] == [0]
    assert first.failed_indices == [1, 2, 3]
    assert all(failure.is_retryable for failure in first.failures.values())
    assert all(
        failure.error_type is InferenceErrorType.API_STATUS for failure in first.failures.values()
    )
    assert "no result from" in first.failures[3].error_message
    assert len(read(output)) == 1
    second = engine.infer_partial(conversations(), to(output))
    assert [index for index, _ in second.successful] == [0, 2]
    assert second.failed_indices == [1, 3]
    assert uploads(at_emulator) == [4, 3, 3, 2]
    assert [row["messages"][0]["content"] for row in read(output)] == [
        "number 0?",
        "number 2? [[flaky 2]]",
    ]


def test_the_progress_file_tells_the_truth(
    engine: FireworksInferenceEngine, tmp_path: Path
) -> None:
    path = tmp_path / "progress.json"
    conversations = [*questions(3), ask("[[flaky 1]]"), ask("[[fail]]")]
    engine.infer_partial(conversations, progress_path=str(path))
    counters = json.loads(path.read_text())
    assert (counters["total"], counters["completed"], counters["failed"]) == (5, 4, 1)


def test_what_was_answered_online_is_not_asked_again_in_a_batch(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    at_emulator.faults.add(Fault(path="chat/completions", kind="garbage", body={}, times=1))
    online = make_batch_engine(mode="online", remote=RemoteParams(max_retries=0))
    first = online.infer_partial(questions(4), to(output))
    assert len(first.failures) == 1
    assert_answers(make_batch_engine(mode="batch").infer(questions(4), to(output)))
    assert uploads(at_emulator) == [1]


def test_what_was_answered_stays_answered_when_the_run_is_to_behave_otherwise(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    conversations = [*questions(3), ask("number 3? [[flaky 2]]")]
    with pytest.raises(IncompleteBatchError):
        make_batch_engine(row_retries=0).infer(conversations, to(output))
    engine = make_batch_engine(row_retries=1, poll_interval=0.03, display_name="again")
    assert_answers(engine.infer(conversations, to(output)))
    assert uploads(at_emulator) == [4, 1, 1]
