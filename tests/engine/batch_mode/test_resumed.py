"""A batch under ``infer`` that was interrupted, and is taken up by the same call."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator, Pace
from oumi_fireworks.errors import RunMismatchError, WaitTimeoutError
from tests.engine.batch_mode.support import (
    STANDSTILL,
    assert_answers,
    at_first,
    at_first_look,
    cached_runs,
    folder_of,
    job_ids,
    to,
    uploads,
)
from tests.engine.conftest import MODEL, EngineFactory, ask, interrupted, questions, read


@pytest.mark.parametrize("has_output", [True, False])
def test_an_interrupted_wait_is_taken_up_by_the_same_call(
    make_batch_engine: EngineFactory,
    at_emulator: Emulator,
    output: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    has_output: bool,
) -> None:
    config = to(output if has_output else None)
    with interrupted() as press, at_first_look(press):
        make_batch_engine().infer(questions(4), config)
    (job_id,) = job_ids(at_emulator)
    (said,) = [record.message for record in caplog.records if "Interrupted" in record.message]
    assert f"Batch {job_id} goes on at Fireworks" in said
    assert "Run the same again" in said
    assert f"`oumi-fireworks batch cancel {job_id}`" in said
    assert (folder_of(output) / "run.json").exists() is has_output
    assert len(cached_runs(tmp_path)) == (not has_output)
    assert_answers(make_batch_engine().infer(questions(4), config))
    assert job_ids(at_emulator) == [job_id]
    assert uploads(at_emulator) == [4]
    assert not cached_runs(tmp_path)


def test_the_batch_to_cancel_is_the_one_at_work(
    engine: FireworksInferenceEngine,
    at_emulator: Emulator,
    output: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    conversations = [*questions(2), ask("number 2? [[flaky 1]]")]

    with (
        interrupted() as press,
        at_first_look(lambda id: press(id) if id.endswith("-r1") else None),
    ):
        engine.infer(conversations, to(output))
    assert re.search(r"`oumi-fireworks batch cancel oumi-\w+-r1`", caplog.text)
    assert_answers(engine.infer(conversations, to(output)))
    assert uploads(at_emulator) == [3, 1]


@pytest.mark.parametrize("pace", [Pace(uploading=80_000)])
def test_an_interrupted_submission_is_finished_by_the_same_call(
    engine: FireworksInferenceEngine,
    at_emulator: Emulator,
    output: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with interrupted() as press, at_first(r"POST .*/datasets/([^/]+):upload ", press):
        engine.infer(questions(3), to(output))
    assert not at_emulator.jobs
    assert "was being submitted. Run the same again" in caplog.text
    at_emulator.clock.advance(80_000)
    assert_answers(engine.infer(questions(3), to(output)))
    assert [dataset.uploads for dataset in at_emulator.datasets if dataset.id.endswith("-in")] == [
        1
    ]
    assert len(at_emulator.jobs) == 1


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"count": 4}, "the input had 3 rows and has 4 now"),
        ({"text": "Who is"}, "as many rows as before, but other content"),
        ({"model": f"{MODEL}-else"}, f'model was "{MODEL}" and is now "{MODEL}-else"'),
        ({"temperature": 0.7}, r"temperature was 0.0 and is now 0.7"),
    ],
)
def test_something_else_in_the_same_place_is_refused(
    engine: FireworksInferenceEngine,
    at_emulator: Emulator,
    output: Path,
    change: dict[str, Any],
    explanation: str,
) -> None:
    def infer(
        count: int = 3, text: str = "What is", model: str = MODEL, temperature: float = 0.0
    ) -> list[Conversation]:
        conversations = [ask(f"{text} number {index}?") for index in range(count)]
        return engine.infer(conversations, to(output, model, temperature=temperature))

    with interrupted() as press, at_first_look(press):
        infer()
    (job_id,) = job_ids(at_emulator)
    with pytest.raises(RunMismatchError, match=explanation) as caught:
        infer(**change)
    assert job_id in str(caught.value)
    assert str(folder_of(output)) in str(caught.value)
    assert_answers(infer())
    assert job_ids(at_emulator) == [job_id]


def test_runs_without_an_output_do_not_meet(
    engine: FireworksInferenceEngine, at_emulator: Emulator, tmp_path: Path
) -> None:
    with interrupted() as press, at_first_look(press):
        engine.infer(questions(3))
    assert_answers(engine.infer(questions(4)))
    assert_answers(engine.infer(questions(3), InferenceConfig(
        model=ModelParams(model_name=MODEL), generation=GenerationParams(temperature=0.5)
    )))  # fmt: skip
    assert len(at_emulator.jobs) == 3
    assert_answers(engine.infer(questions(3)))
    assert len(at_emulator.jobs) == 3


@pytest.mark.parametrize("has_output", [True, False])
def test_a_run_can_be_kept_elsewhere(
    make_batch_engine: EngineFactory,
    at_emulator: Emulator,
    output: Path,
    tmp_path: Path,
    has_output: bool,
) -> None:
    place = tmp_path / "runs"
    config = to(output if has_output else None)
    with interrupted() as press, at_first_look(press):
        make_batch_engine(run_dir=str(place)).infer(questions(2), config)
    assert len(list(place.glob("*/run.json"))) == 1
    assert not folder_of(output).exists()
    assert not cached_runs(tmp_path)
    assert_answers(make_batch_engine(run_dir=str(place)).infer(questions(2), config))
    assert len(at_emulator.jobs) == 1
    assert not list(place.iterdir())


@pytest.mark.parametrize("pace", [STANDSTILL])
def test_waiting_can_be_limited(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    with pytest.raises(WaitTimeoutError, match="It goes on"):
        make_batch_engine(batch_timeout=0.05).infer(questions(2), to(output))
    (job_id,) = job_ids(at_emulator)
    at_emulator.set_job(job_id, state="JOB_STATE_COMPLETED")
    assert_answers(make_batch_engine(batch_timeout=60.0).infer(questions(2), to(output)))
    assert job_ids(at_emulator) == [job_id]


def test_two_identical_calls_at_once_share_a_batch(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    first, second = make_batch_engine(), make_batch_engine()
    with ThreadPoolExecutor(1) as pool:
        others = []

        def infer_as_well(_job_id: str) -> None:
            others.append(pool.submit(second.infer, questions(2), to(output)))
            while not list(folder_of(output).glob("waiting-*")):
                assert not others[0].done()

        with at_first_look(infer_as_well):
            assert_answers(first.infer(questions(2), to(output)))
        assert_answers(others[0].result())
    assert len(at_emulator.jobs) == 1
    assert len(read(output)) == 2
    assert not folder_of(output).exists()


CHILD = """
import sys
from oumi.core.configs import InferenceConfig, ModelParams, GenerationParams
from oumi_fireworks import FireworksInferenceEngine
model = ModelParams(model_name=sys.argv[1])
engine = FireworksInferenceEngine(model, mode="batch", poll_interval=0.02)
engine.infer(inference_config=InferenceConfig(
    model=model, generation=GenerationParams(), input_path=sys.argv[2], output_path=sys.argv[3]
))
"""


def test_a_process_killed_while_it_waits_loses_nothing_and_pays_nothing_twice(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path, tmp_path: Path
) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text("".join(each.to_json() + "\n" for each in questions(4)))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, MODEL, str(source), str(output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with at_first_look(lambda _job_id: child.kill()):
        assert child.wait() == -signal.SIGKILL
    assert not output.exists()
    assert_answers(engine.infer(questions(4), to(output)))
    assert len(read(output)) == 4
    assert len(at_emulator.jobs) == 1
    assert uploads(at_emulator) == [4]
