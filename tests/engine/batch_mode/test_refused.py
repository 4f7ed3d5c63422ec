"""A batch that the service refuses or fails as a whole, under ``infer``."""

from __future__ import annotations

from pathlib import Path

import pytest

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import APIError, IncompleteBatchError, RowError
from tests.engine.batch_mode.support import STANDSTILL, assert_answers, at_first_look, folder_of, to
from tests.engine.conftest import EngineFactory, ask, questions

REFUSALS = {
    400: {"code": 3, "message": "this model is not for batches", "details": []},
    404: {"code": 5, "message": "there is no such model", "details": []},
}


@pytest.fixture(params=REFUSALS)
def refusal(request: pytest.FixtureRequest, at_emulator: Emulator) -> str:
    """The message with which the next job is refused."""
    status, body = request.param, REFUSALS[request.param]
    at_emulator.faults.add(
        Fault(method="POST", path=r"/batchInferenceJobs$", status=status, body=body)
    )
    return str(body["message"])


def assert_nothing_is_left(emulator: Emulator, output: Path) -> None:
    assert not emulator.jobs
    assert [dataset.deleted for dataset in emulator.datasets] == [True]
    assert not folder_of(output).exists()


def test_a_refused_batch_leaves_nothing_and_the_next_call_begins_anew(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path, refusal: str
) -> None:
    with pytest.raises(APIError, match=refusal):
        engine.infer(questions(3), to(output))
    assert_nothing_is_left(at_emulator, output)
    assert_answers(engine.infer(questions(3), to(output)))
    assert len(at_emulator.jobs) == 1


def test_infer_partial_returns_a_refusal_as_the_failure_of_each_row(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path, refusal: str
) -> None:
    result = engine.infer_partial(questions(3), to(output))
    assert result.failed_indices == [0, 1, 2]
    for failure in result.failures.values():
        assert refusal in failure.error_message
        assert failure.status_code in REFUSALS
        assert not failure.is_retryable
    assert_nothing_is_left(at_emulator, output)
    assert not engine.infer_partial(questions(3), to(output)).has_failures


@pytest.mark.parametrize("pace", [STANDSTILL])
def test_a_job_that_fails_as_a_whole_says_why_and_is_not_repeated(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path
) -> None:
    def fail(job_id: str) -> None:
        at_emulator.set_job(job_id, state="JOB_STATE_FAILED", message="input.jsonl:1 is invalid")

    with (
        at_first_look(fail),
        pytest.raises(IncompleteBatchError, match=r"FAILED, and 2 of 2 .*jsonl:1 is invalid"),
    ):
        engine.infer(questions(2), to(output))
    assert len(at_emulator.jobs) == 1
    assert not folder_of(output).exists()


def test_a_row_that_cannot_be_sent_is_named_before_anything_happens(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    engine = make_batch_engine(max_shard_bytes=1_000)
    with pytest.raises(RowError, match="Conversation 1"):
        engine.infer([ask("number 0?"), ask("x" * 2_000)], to(output))
    assert not at_emulator.datasets
    assert not folder_of(output).exists()
