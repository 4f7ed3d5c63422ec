"""``mode: batch``: Oumi's ``infer`` and ``infer_partial`` through the Batch API, and resumed."""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams, RemoteParams
from oumi.core.inference.base_inference_engine import InferenceErrorType
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.batch.folder import OwnFolder
from oumi_fireworks.emulator import Emulator, Fault, Pace
from oumi_fireworks.engine.scratch import save_to_scratch
from oumi_fireworks.errors import (
    APIError,
    IncompleteBatchError,
    RowError,
    RunMismatchError,
    SpoolError,
    WaitTimeoutError,
)
from tests.disk import full_disk
from tests.engine.conftest import MODEL, EngineFactory, ask, interrupted, questions

STANDSTILL = Pace(running=80_000)
"""Jobs begin to run, and then go on for longer than any test."""


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def emulator(pace: Pace) -> Iterator[Emulator]:
    """A fresh emulator, at which a small job takes some hundredths of a second."""
    with Emulator(speed=20_000 if pace == Pace() else 2_400, pace=pace) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def make_batch_engine(make_engine: EngineFactory) -> EngineFactory:
    """Makes engines in batch mode that look often."""

    def make(**options: Any) -> FireworksInferenceEngine:
        return make_engine(**{"mode": "batch", "poll_interval": 0.02, **options})

    return make


@pytest.fixture
def engine(make_batch_engine: EngineFactory) -> FireworksInferenceEngine:
    return make_batch_engine()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def to(output: Path | None, model: str = MODEL, **generation: Any) -> InferenceConfig | None:
    """What tells ``infer`` where to put the answers; None where it is to hand them back only."""
    if output is None:
        return None
    return InferenceConfig(
        model=ModelParams(model_name=model),
        generation=GenerationParams(**generation),
        output_path=str(output),
    )


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def scratch_rows(output: Path) -> int:
    return sum(len(read(path)) for path in (output.parent / "scratch").glob("*"))


def uploads(emulator: Emulator) -> list[int]:
    """The number of rows of each upload, oldest first."""
    return [dataset.rows for dataset in emulator.datasets if dataset.id.endswith("-in")]


def job_ids(emulator: Emulator) -> list[str]:
    return [job.id for job in emulator.jobs]


def folder_of(output: Path) -> Path:
    return Path(f"{output}.run")


def cached_runs(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "oumi-fireworks" / "runs").glob("*/run.json"))


def assert_answers(conversations: list[Conversation]) -> None:
    for index, conversation in enumerate(conversations):
        assert [str(message.role) for message in conversation.messages] == ["user", "assistant"]
        asked, answered = (str(message.content) for message in conversation.messages)
        assert f"number {index}?" in asked
        assert f"number {index}?" in answered


@contextmanager
def at_first(line: str, act: Callable[[str], object]) -> Iterator[None]:
    """Do something when the emulator has answered a request of a kind for the first time.

    Args:
        line: A regular expression for ``METHOD PATH``, whose group tells requests apart.
        act: Called with that group, once for each of its values, on a thread of its own.
    """
    seen: set[str] = set()
    due: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    errors: list[BaseException] = []

    class Ears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            match = re.match(line, record.getMessage())
            if match and match[1] not in seen:
                seen.add(match[1])
                due.put(match[1])

    def work() -> None:
        try:
            for name in iter(due.get, None):
                act(name)
        except BaseException as error:
            errors.append(error)

    logger = logging.getLogger("oumi_fireworks.emulator.app")
    ears, level, thread = Ears(), logger.level, threading.Thread(target=work)
    logger.addHandler(ears)
    logger.setLevel(logging.INFO)
    thread.start()
    try:
        yield
    finally:
        logger.removeHandler(ears)
        logger.setLevel(level)
        due.put(None)
        thread.join()
    assert not errors


def at_first_look(act: Callable[[str], object]) -> Any:
    """Do something, given the job's id, when the client first looks at a job."""
    return at_first(r"GET .*/batchInferenceJobs/([^/:? ]+) ", act)


def assert_no_chat(emulator: Emulator) -> None:
    assert not emulator.requests_to("POST", "chat/completions")


#
# All goes well
#


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


#
# Rows fail
#


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
    with pytest.raises(IncompleteBatchError, match="1 of 3 rows have no answer") as caught:
        make_batch_engine(row_retries=retries).infer(conversations(), config)
    assert caught.value.counts == {"answered": 2, "failed": 1, "missing": 0}
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


#
# The service refuses
#


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


#
# Interrupted, and picked up again
#


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


@contextmanager
def no_place_for_answers(output: Path) -> Iterator[None]:
    """While a batch runs, put something in the way of Oumi's scratch files; expect an error."""
    in_the_way = output.parent / "scratch"
    with (
        at_first_look(lambda _job_id: in_the_way.write_text("a file, not a folder")),
        pytest.raises(SpoolError, match=r"scratch.*nothing is paid twice"),
    ):
        yield
    in_the_way.unlink()


def test_a_full_disk_leaves_the_scratch_file_as_it_was(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch.jsonl"
    save_to_scratch(scratch, questions(2))
    before = scratch.read_bytes()
    with (
        full_disk(len(before) + 1),
        pytest.raises(SpoolError, match=r"scratch\.jsonl: File too large.*safe"),
    ):
        save_to_scratch(scratch, questions(1))
    assert scratch.read_bytes() == before
    assert list(tmp_path.iterdir()) == [scratch]
    save_to_scratch(scratch, questions(1))
    assert [each["messages"] for each in read(scratch)] == [
        each.to_dict()["messages"] for each in [*questions(2), *questions(1)]
    ]


def test_answers_that_find_no_place_are_not_paid_for_again(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path
) -> None:
    with no_place_for_answers(output):
        engine.infer(questions(3), to(output))
    assert len(at_emulator.jobs) == 1
    assert_answers(engine.infer(questions(3), to(output)))
    assert len(at_emulator.jobs) == 1


@pytest.mark.parametrize("way", ["infer", "infer_partial"])
@pytest.mark.parametrize("mode", ["batch", "online"])
def test_answers_that_the_output_does_not_take_are_not_paid_for_again(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path, mode: str, way: str
) -> None:
    engine = make_batch_engine(mode=mode)
    output.mkdir()
    with pytest.raises(IsADirectoryError):
        getattr(engine, way)(questions(3), to(output))
    asked = len(at_emulator.requests_to("POST", "completions|batchInferenceJobs"))
    output.rmdir()
    getattr(engine, way)(questions(3), to(output))
    assert len(at_emulator.requests_to("POST", "completions|batchInferenceJobs")) == asked
    assert_answers([Conversation.from_dict(row) for row in read(output)])
    assert scratch_rows(output) == 0


def test_a_run_killed_after_its_answers_were_kept_is_over(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    engine = make_batch_engine(row_retries=0, delete_datasets=True)
    conversations = [*questions(2), ask("number 2? [[flaky]]")]
    folder = folder_of(output)
    OwnFolder(folder, ()).claim()
    # What somebody waits for is not removed: it stays as a kill at this moment leaves it.
    with FileLock(folder / "waiting-1"), pytest.raises(IncompleteBatchError):
        engine.infer(conversations, to(output))
    assert scratch_rows(output) == 2
    with pytest.raises(RunMismatchError, match=r"3 rows and has 4 now.* is kept in .*scratch"):
        engine.infer([*conversations, ask("number 3?")], to(output))
    assert uploads(at_emulator) == [3]
    assert_answers(engine.infer(conversations, to(output)))
    assert uploads(at_emulator) == [3, 1]
    assert not folder.exists()


def test_a_finished_output_is_not_written_again(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path
) -> None:
    engine.infer(questions(2), to(output))
    before = output.stat()
    assert_answers(engine.infer(questions(2), to(output)))
    engine.infer_partial(questions(2), to(output))
    assert (output.stat().st_mtime_ns, output.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert len(at_emulator.jobs) == 1


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
