"""The engine's batch contract, over HTTP against the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC

import orjson
import pytest
from oumi.core.types.conversation import Conversation
from oumi.inference.remote_inference_engine import BatchInfo, BatchStatus

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator, Fault, Pace
from oumi_fireworks.emulator.faults.faults import FaultKind
from oumi_fireworks.errors import (
    FireworksError,
    IncompleteBatchError,
    NoRowsError,
    NotFinishedError,
    NotFoundError,
    RowError,
    WaitTimeoutError,
)
from tests.conftest import lead_to
from tests.engine.conftest import MODEL, EngineFactory, ask, questions


def answers(conversations: list[Conversation]) -> list[str]:
    return [str(conversation.messages[-1].content) for conversation in conversations]


def assert_in_order(conversations: list[Conversation]) -> None:
    for index, conversation in enumerate(conversations):
        assert [str(message.role) for message in conversation.messages] == ["user", "assistant"]
        assert conversation.messages[0].content == f"What is number {index}?"
        assert f"number {index}?" in str(conversation.messages[-1].content)


def test_the_whole_way(engine: FireworksInferenceEngine) -> None:
    conversations = questions(5)
    batch_id = engine.infer_batch(conversations)
    assert engine.wait_for_batch(batch_id).status is BatchStatus.COMPLETED
    answered = engine.get_batch_results(batch_id, conversations)
    assert_in_order(answered)
    assert answered[0].metadata["finish_reason"] == "stop"
    assert answered[0].metadata["usage"]["total_tokens"] > 0


def test_a_batch_of_one_shard_has_the_id_of_its_job(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    batch_id = engine.infer_batch(questions(2))
    assert [job.id for job in at_emulator.jobs] == [batch_id]
    assert batch_id.startswith("oumi-")


def test_a_batch_of_several_shards_is_one_batch(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    engine = make_engine(max_shard_rows=3)
    conversations = questions(8)
    batch_id = engine.infer_batch(conversations)
    assert batch_id.endswith("-x3")
    assert sorted(job.id for job in at_emulator.jobs) == [f"{batch_id}-{n}" for n in range(3)]
    info = engine.wait_for_batch(batch_id)
    assert (info.total_requests, info.completed_requests) == (8, 8)
    assert info.metadata is not None
    assert [job["id"] for job in info.metadata["jobs"]] == [f"{batch_id}-{n}" for n in range(3)]
    # Any machine can follow it: a fresh engine knows nothing but the id.
    assert_in_order(make_engine().get_batch_results(batch_id, conversations))


def test_shards_are_split_by_bytes(make_engine: EngineFactory, at_emulator: Emulator) -> None:
    engine = make_engine(max_shard_bytes=400)
    batch_id = engine.infer_batch(questions(6))
    uploads = [d for d in at_emulator.datasets if d.id.endswith("-in")]
    assert len(uploads) > 1
    assert all(dataset.bytes <= 400 for dataset in uploads)
    assert sum(dataset.rows for dataset in uploads) == 6
    assert batch_id.endswith(f"-x{len(uploads)}")


def test_a_row_larger_than_a_shard_is_named_before_anything_is_uploaded(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    with pytest.raises(ValueError, match=r"Conversation 1 makes a request of"):
        make_engine(max_shard_bytes=500).infer_batch([ask("hi"), ask("x" * 600)])
    assert not at_emulator.datasets


def test_a_conversation_that_cannot_be_sent_is_named_before_anything_is_uploaded(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    with pytest.raises(RowError, match=r"Conversation 1.*Nothing was submitted"):
        engine.infer_batch([*questions(1), Conversation(messages=[])])
    assert not at_emulator.requests_to("POST")


def test_conversations_may_come_from_a_generator(engine: FireworksInferenceEngine) -> None:
    def stream() -> Iterator[Conversation]:
        yield from questions(3)

    batch_id = engine.infer_batch(stream())
    engine.wait_for_batch(batch_id)
    assert_in_order(engine.get_batch_results(batch_id, questions(3)))


def test_the_status_is_true_from_the_beginning_to_the_end(
    engine: FireworksInferenceEngine,
) -> None:
    seen: list[BatchInfo] = []
    batch_id = engine.infer_batch(questions(4))
    last = engine.wait_for_batch(batch_id, poll_interval=0.01, on_progress=seen.append)
    assert all(info.total_requests == 4 for info in seen)
    assert [info.is_terminal for info in seen] == [False] * (len(seen) - 1) + [True]
    assert last == engine.get_batch_status(batch_id)
    assert last.completed_requests == 4
    assert last.failed_requests == 0
    assert last.error is None
    assert last.created_at is not None
    assert last.in_progress_at is not None
    assert last.completed_at is not None
    assert last.created_at.tzinfo is UTC
    assert last.created_at < last.in_progress_at < last.completed_at
    assert last.expires_at is not None
    assert last.expires_at > last.completed_at
    assert last.metadata is not None
    assert last.metadata["state"] == "JOB_STATE_COMPLETED"
    assert last.metadata["model"] == MODEL
    assert last.metadata["percent"] == 100
    assert last.metadata["output_tokens"] > 0
    assert last.input_file_id == last.metadata["input_dataset"]
    assert last.input_file_id
    assert last.input_file_id.endswith(f"datasets/{batch_id}-in")
    assert last.output_file_id
    assert last.output_file_id.endswith(f"datasets/{batch_id}-out")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("UNSPECIFIED", BatchStatus.VALIDATING),
        ("VALIDATING", BatchStatus.VALIDATING),
        ("CREATING_INPUT_DATASET", BatchStatus.VALIDATING),
        ("PENDING", BatchStatus.IN_PROGRESS),
        ("CREATING", BatchStatus.IN_PROGRESS),
        ("RE_QUEUEING", BatchStatus.IN_PROGRESS),
        ("IDLE", BatchStatus.IN_PROGRESS),
        ("PAUSED", BatchStatus.IN_PROGRESS),
        ("RUNNING", BatchStatus.IN_PROGRESS),
        ("WRITING_RESULTS", BatchStatus.FINALIZING),
        ("COMPLETED", BatchStatus.COMPLETED),
        ("FAILED", BatchStatus.FAILED),
        ("EXPIRED", BatchStatus.EXPIRED),
        ("EARLY_STOPPED", BatchStatus.EXPIRED),
        ("CANCELLING", BatchStatus.CANCELLING),
        ("CANCELLED", BatchStatus.CANCELLED),
        ("DELETING", BatchStatus.CANCELLED),
        ("DELETING_CLEANING_UP", BatchStatus.CANCELLED),
        ("ARCHIVED", BatchStatus.CANCELLED),
    ],
)
def test_every_state_has_a_status(
    engine: FireworksInferenceEngine, at_emulator: Emulator, state: str, status: BatchStatus
) -> None:
    batch_id = engine.infer_batch(questions(1))
    at_emulator.set_job(batch_id, state=f"JOB_STATE_{state}")
    info = engine.get_batch_status(batch_id)
    assert info.status is status
    assert info.metadata is not None
    assert info.metadata["state"] == f"JOB_STATE_{state}"


def test_a_failed_job_says_why(engine: FireworksInferenceEngine, at_emulator: Emulator) -> None:
    conversations = questions(2)
    batch_id = engine.infer_batch(conversations)
    at_emulator.set_job(batch_id, state="JOB_STATE_FAILED", message="the model fell over")
    info = engine.get_batch_status(batch_id)
    assert info.error == "the model fell over"
    assert info.failed_at is not None
    with pytest.raises(IncompleteBatchError, match="the model fell over") as caught:
        engine.get_batch_results_partial(batch_id, conversations)
    assert caught.value.partial.failed_indices == [0, 1]
    with pytest.raises(RuntimeError, match="the model fell over"):
        engine.get_batch_results(batch_id, conversations)


def test_the_error_of_several_shards_names_the_shard(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    engine = make_engine(max_shard_rows=2)
    conversations = questions(4)
    batch_id = engine.infer_batch(conversations)
    at_emulator.set_job(f"{batch_id}-1", state="JOB_STATE_FAILED", message="no luck")
    info = engine.wait_for_batch(batch_id)
    assert info.status is BatchStatus.FAILED
    assert info.error == f"{batch_id}-1: no luck"
    partial = engine.get_batch_results_partial(batch_id, conversations)
    assert [index for index, _ in partial.successful] == [0, 1]
    assert partial.failed_indices == [2, 3]
    assert "no luck" in partial.error_messages[2]


@pytest.mark.parametrize("state", ["EXPIRED", "EARLY_STOPPED", "CANCELLED"])
def test_finished_rows_are_kept(
    engine: FireworksInferenceEngine, at_emulator: Emulator, state: str
) -> None:
    conversations = questions(6)
    batch_id = engine.infer_batch(conversations)
    at_emulator.set_job(batch_id, state=f"JOB_STATE_{state}", rows=4)
    partial = engine.get_batch_results_partial(batch_id, conversations)
    assert len(partial.successful) == 4
    assert len(partial.failed_indices) == 2
    for index, conversation in partial.successful:
        assert f"number {index}?" in str(conversation.messages[-1].content)
    assert all(state in message for message in partial.error_messages.values())
    with pytest.raises(IncompleteBatchError) as caught:
        engine.get_batch_results(batch_id, conversations)
    assert caught.value.counts == {"answered": 4, "rejected": 0, "failed": 0, "missing": 2}
    assert len(caught.value.partial.successful) == 4


def test_failed_and_dropped_rows_are_told_apart(
    engine: FireworksInferenceEngine,
) -> None:
    conversations = [*questions(3), ask("[[fail]]"), ask("[[drop]]")]
    batch_id = engine.infer_batch(conversations)
    engine.wait_for_batch(batch_id)
    partial = engine.get_batch_results_partial(batch_id, conversations)
    assert [index for index, _ in partial.successful] == [0, 1, 2]
    assert partial.failed_indices == [3, 4]
    assert "no result from" in partial.error_messages[4]
    assert "no result from" not in partial.error_messages[3]
    with pytest.raises(IncompleteBatchError, match="2 of 5 rows have no answer") as caught:
        engine.get_batch_results(batch_id, conversations)
    assert caught.value.counts == {"answered": 3, "rejected": 0, "failed": 1, "missing": 1}
    assert len(caught.value.messages) == 2


def test_failures_are_logged_by_kind_and_not_by_row(
    engine: FireworksInferenceEngine, caplog: pytest.LogCaptureFixture
) -> None:
    conversations = [ask(f"{index} [[fail]]") for index in range(40)]
    batch_id = engine.infer_batch(conversations)
    engine.wait_for_batch(batch_id)
    with caplog.at_level("INFO", logger="oumi_fireworks.batch"):
        engine.get_batch_results_partial(batch_id, conversations)
    lines = [r.message for r in caplog.records if r.name.startswith("oumi_fireworks.batch")]
    assert len([line for line in lines if "40 failed" in line]) == 1
    assert len(lines) == 2


def test_hostile_output_never_crosses_rows(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    def line(custom_id: object, text: str) -> bytes:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        return orjson.dumps({"custom_id": custom_id, "response": {"choices": [choice]}}) + b"\n"

    at_emulator.output_writer = lambda job, rows: {
        "BIJOutputSet-2.jsonl": line("request-2", "two\u2028\u2029\u0085\x0c two")
        + line("request-2", "a second two")
        + line("request--1", "minus one")
        + line("request-99", "out of range")
        + line("request-1x", "no number")
        + line(7, "not a text"),
        "BIJOutputSet-1.jsonl": b'{"custom_id": "request-0", "resp\n'
        + b"\xff\xfe\n\n[1, 2]\nnull\n"
        + line("request-1", "one")[:-1],
        "error-data": orjson.dumps({"custom_id": "request-1", "error": "late"})
        + b"\n"
        + orjson.dumps({"custom_id": "request-3", "error": {"message": "no", "code": "X"}}),
    }
    conversations = questions(5)
    batch_id = engine.infer_batch(conversations)
    engine.wait_for_batch(batch_id)
    partial = engine.get_batch_results_partial(batch_id, conversations)
    texts = {index: answered.messages[-1].content for index, answered in partial.successful}
    assert texts == {1: "one", 2: "two\u2028\u2029\u0085\x0c two"}
    assert partial.failed_indices == [0, 3, 4]
    assert partial.error_messages[3] == "no"


def test_an_answer_that_oumi_cannot_hold_is_a_failed_row(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": 3}]}
    row = {"custom_id": "request-0", "response": {"choices": [{"message": message}]}}
    at_emulator.output_writer = lambda job, rows: {"BIJOutputSet.jsonl": orjson.dumps(row)}
    conversations = questions(1)
    batch_id = engine.infer_batch(conversations)
    engine.wait_for_batch(batch_id)
    partial = engine.get_batch_results_partial(batch_id, conversations)
    assert partial.failed_indices == [0]
    assert "malformed" in partial.error_messages[0]
    with pytest.raises(IncompleteBatchError, match="`retry_batch` runs") as caught:
        engine.get_batch_results(batch_id, conversations)
    assert caught.value.counts == {"answered": 0, "rejected": 0, "failed": 1, "missing": 0}
    at_emulator.output_writer = None
    retry_id = engine.retry_batch(batch_id, conversations)
    engine.wait_for_batch(retry_id)
    assert_in_order(engine.get_batch_results([batch_id, retry_id], conversations))


def test_results_of_a_batch_at_work_are_refused(engine: FireworksInferenceEngine) -> None:
    conversations = questions(1)
    batch_id = engine.infer_batch(conversations)
    with pytest.raises(NotFinishedError, match="has not ended yet"):
        engine.get_batch_results(batch_id, conversations)


def test_waiting_can_be_limited(engine: FireworksInferenceEngine, at_emulator: Emulator) -> None:
    batch_id = engine.infer_batch(questions(1))
    at_emulator.set_job(batch_id, state="JOB_STATE_PENDING")
    with pytest.raises(WaitTimeoutError, match="It goes on"):
        engine.wait_for_batch(batch_id, poll_interval=0.01, timeout=0.05)
    with pytest.raises(TimeoutError):
        engine.wait_for_batch(batch_id, poll_interval=0.01, timeout=0.05)


def test_waiting_needs_a_pause_between_looks(engine: FireworksInferenceEngine) -> None:
    for interval in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="poll_interval must be more than 0"):
            engine.wait_for_batch("oumi-aaaaaaaaaaaaaaaa", poll_interval=interval)


def test_an_unknown_batch_is_named(engine: FireworksInferenceEngine) -> None:
    with pytest.raises(NotFoundError, match="There is no batch oumi-nonesuch"):
        engine.get_batch_status("oumi-nonesuch")
    with pytest.raises(ValueError, match="is not a batch id"):
        engine.get_batch_status("../accounts")


def test_failed_rows_are_run_again_in_a_batch_of_their_own(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    engine = make_engine(max_shard_rows=3)
    conversations = [*questions(4), ask("[[flaky 1]] please"), ask("[[flaky 1]] once more")]
    batch_id = engine.infer_batch(conversations)
    engine.wait_for_batch(batch_id)
    retry_id = engine.retry_batch(batch_id, conversations)
    assert retry_id == engine.retry_batch(batch_id, conversations)
    (retried,) = [job for job in at_emulator.jobs if job.id == retry_id]
    (dataset,) = [d for d in at_emulator.datasets if d.id == f"{retry_id}-in"]
    assert dataset.rows == 2
    assert retried.model == MODEL
    engine.wait_for_batch(retry_id)
    merged = engine.get_batch_results([batch_id, retry_id], conversations)
    assert_in_order(merged[:4])
    assert "once more" in answers(merged)[5]
    with pytest.raises(NoRowsError):
        engine.retry_batch([batch_id, retry_id], conversations)


@pytest.mark.parametrize(("option", "sent"), [(None, None), ("12h", "43200s"), ("72h", "259200s")])
def test_a_window_is_sent_and_told(
    make_engine: EngineFactory, at_emulator: Emulator, option: str | None, sent: str | None
) -> None:
    engine = make_engine(batch_window=option)
    batch_id = engine.infer_batch(questions(2))
    [create] = at_emulator.requests_to("POST", "/batchInferenceJobs$")
    assert create.body.get("maxJobDuration") == sent
    assert engine.get_batch_status(batch_id).batch_completion_window == (option or "24h")


def test_an_expired_job_is_continued_without_another_upload(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    conversations = questions(6)
    batch_id = engine.infer_batch(conversations)
    at_emulator.set_job(batch_id, state="JOB_STATE_EXPIRED", rows=4)
    retry_id = engine.retry_batch(batch_id, conversations)
    engine.wait_for_batch(retry_id)
    assert_in_order(engine.get_batch_results([batch_id, retry_id], conversations))
    assert len(at_emulator.requests_to("POST", r":upload$")) == 1


@pytest.mark.parametrize("cancel_route", [True, False])
def test_cancel_with_and_without_the_route(
    monkeypatch: pytest.MonkeyPatch, make_engine: EngineFactory, cancel_route: bool
) -> None:
    with Emulator(cancel_route=cancel_route, pace=Pace(running=1e6)) as emulator:
        lead_to(emulator, monkeypatch)
        engine = make_engine()
        batch_id = engine.infer_batch(questions(4))
        cancelled = engine.cancel_batch(batch_id)
        assert cancelled.status in (BatchStatus.CANCELLING, BatchStatus.CANCELLED)
        assert engine.wait_for_batch(batch_id).status is BatchStatus.CANCELLED
        assert engine.cancel_batch(batch_id).status is BatchStatus.CANCELLED


def test_a_cancelled_batch_gives_its_finished_rows(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    conversations = questions(4)
    batch_id = engine.infer_batch(conversations)
    at_emulator.set_job(batch_id, rows=2, state="JOB_STATE_CANCELLED")
    assert len(engine.get_batch_results_partial(batch_id, conversations).successful) == 2


def test_cancelling_what_has_ended_keeps_its_record(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    conversations = questions(1)
    batch_id = engine.infer_batch(conversations)
    engine.wait_for_batch(batch_id)
    assert engine.cancel_batch(batch_id).status is BatchStatus.COMPLETED
    assert not at_emulator.requests_to("DELETE", "batchInferenceJobs")
    assert len(engine.get_batch_results(batch_id, conversations)) == 1


def test_no_id_is_refused(engine: FireworksInferenceEngine, at_emulator: Emulator) -> None:
    for ask_for in (engine.get_batch_results, engine.get_batch_results_partial, engine.retry_batch):
        with pytest.raises(ValueError, match="There is no batch id"):
            ask_for([], questions(1))
    assert at_emulator.requests == []


def test_a_submission_that_fails_leaves_nothing_behind(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    body = {"code": 3, "message": "no such model", "details": []}
    at_emulator.faults.add(
        Fault(method="POST", path=r"/batchInferenceJobs$", status=400, body=body, after=1)
    )
    with pytest.raises(FireworksError, match="no such model"):
        make_engine(max_shard_rows=1).infer_batch(questions(3))
    assert all(dataset.deleted for dataset in at_emulator.datasets)
    assert all(job.state == "JOB_STATE_DELETED" for job in at_emulator.jobs)


@pytest.mark.parametrize("path", [r"/datasets$", r":upload$", r"/batchInferenceJobs$"])
@pytest.mark.parametrize("kind", ["lost_answer", "reset", "status"])
def test_a_lost_call_makes_one_dataset_and_one_job(
    engine: FireworksInferenceEngine, at_emulator: Emulator, path: str, kind: FaultKind
) -> None:
    at_emulator.faults.add(Fault(method="POST", path=path, kind=kind, status=503))
    conversations = questions(3)
    batch_id = engine.infer_batch(conversations)
    assert [job.id for job in at_emulator.jobs] == [batch_id]
    (dataset,) = [d for d in at_emulator.datasets if d.id.endswith("-in")]
    assert dataset.uploads == 1
    engine.wait_for_batch(batch_id)
    assert_in_order(engine.get_batch_results(batch_id, conversations))


def test_the_key_never_leaves_the_control_plane(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    conversations = questions(2)
    batch_id = engine.infer_batch(conversations)
    engine.wait_for_batch(batch_id)
    engine.get_batch_results(batch_id, conversations)
    downloads = [r for r in at_emulator.requests if not r.path.startswith("/v1/")]
    assert downloads
    for request in downloads:
        assert "authorization" not in {name.lower() for name in request.headers}


def test_every_method_works_inside_a_running_loop(engine: FireworksInferenceEngine) -> None:
    async def notebook() -> list[Conversation]:
        conversations = questions(2)
        batch_id = engine.infer_batch(conversations)
        assert engine.list_batches().batches[0].id == batch_id
        engine.wait_for_batch(batch_id)
        assert engine.get_batch_status(batch_id).status is BatchStatus.COMPLETED
        assert not engine.get_batch_results_partial(batch_id, conversations).has_failures
        assert engine.cancel_batch(batch_id).status is BatchStatus.COMPLETED
        assert MODEL in engine.list_models()
        return engine.get_batch_results(batch_id, conversations)

    assert_in_order(asyncio.run(notebook()))
