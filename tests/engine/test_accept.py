"""Answers that do not hold, in both modes: asked for again, kept, never paid for twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks import RejectedAnswer
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    AnswerRejectedError,
    FireworksError,
    IncompleteBatchError,
    OptionError,
)
from tests.engine.conftest import MODEL, EngineFactory, ask, read, sent

pytestmark = pytest.mark.usefixtures("home")

GOOD, BAD = '[[reply {"ok": true}]]', "This is not what was asked for."
JSON = {"json": True, "finish_reason": ["stop"]}
WARMER = {"temperature": 0.2, "attempts": 2}


def to(output: Path) -> InferenceConfig:
    return InferenceConfig(
        model=ModelParams(model_name=MODEL),
        generation=GenerationParams(max_new_tokens=100),
        output_path=str(output),
    )


def rows(*bad: int) -> list[Conversation]:
    """Three questions; so many answers to each of them are bad at first."""
    return [
        ask(f"Number {index}: [[bad {times}]]{GOOD}", conversation_id=f"row-{index}")
        for index, times in enumerate(bad)
    ]


def answers(conversations: list[Conversation]) -> list[Any]:
    return [each.messages[-1].content for each in conversations]


def test_a_rejected_answer_is_asked_for_again_until_it_holds(
    make: EngineFactory, at_emulator: Emulator
) -> None:
    engine = make(accept=JSON, on_reject=WARMER)
    assert answers(engine.infer(rows(0, 1, 2))) == ['{"ok": true}'] * 3
    assert sent(at_emulator) == 6


def test_online_each_request_differs_from_those_before(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    policy = {"max_new_tokens": "x2", "temperature": 0.2, "repair": 1, "attempts": 2}
    engine = make_engine(accept=JSON, on_reject=policy)
    config = InferenceConfig(
        model=ModelParams(model_name=MODEL),
        generation=GenerationParams(max_new_tokens=5000, temperature=0.0),
    )
    with pytest.raises(FireworksError):
        engine.infer(rows(9), config)  # the message of a repair has no marker: no JSON either
    asked = [each.body for each in at_emulator.requests_to("POST", "/chat/completions$")]
    assert [body["max_tokens"] for body in asked] == [5000, 8192, 8192]
    assert [body["temperature"] for body in asked] == [0.0, 0.2, 0.4]
    assert [len(body["messages"]) for body in asked] == [1, 3, 1]
    assert asked[1]["messages"][1] == {"role": "assistant", "content": BAD}
    assert asked[1]["messages"][2]["content"].startswith("The answer is no JSON: it begins: This")


def test_without_on_reject_it_is_an_error_that_says_so(
    make: EngineFactory, at_emulator: Emulator
) -> None:
    with pytest.raises(FireworksError, match=r"1 of 2 rows has no answer: row 1 .*is no JSON"):
        make(accept=JSON).infer(rows(0, 1))
    assert sent(at_emulator) == 2


def test_online_the_error_has_a_class_of_its_own(make_engine: EngineFactory) -> None:
    with pytest.raises(AnswerRejectedError):
        make_engine(accept=JSON).infer(rows(1))


def test_infer_partial_has_the_answer_that_was_rejected(make: EngineFactory) -> None:
    result = make(accept=JSON, on_reject=WARMER).infer_partial(rows(0, 9))
    assert [index for index, _ in result.successful] == [0]
    failure = result.failures[1]
    assert isinstance(failure, RejectedAnswer)
    assert (failure.kind, failure.times, failure.is_retryable) == ("no JSON", 3, False)
    assert failure.error_message.endswith(f"The answer: {BAD}")
    assert failure.completion["choices"][0]["message"]["content"] == BAD


def test_rejected_rows_are_not_run_again_by_the_same_call(
    make: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    engine = make(accept=JSON, on_failed_rows="keep")
    assert len(engine.infer(rows(0, 9), to(output))) == 1
    (line,) = read(Path(f"{output}.errors.jsonl"))
    assert line["error"]["kind"] == "no JSON"
    assert line["answer"] == {"role": "assistant", "content": BAD}
    assert (line["rejected"], line["finish_reason"]) == (1, "stop")
    assert line["usage"]["completion_tokens"] > 0
    assert sent(at_emulator) == 2
    assert len(make(accept=JSON, on_failed_rows="keep").infer(rows(0, 9), to(output))) == 1
    assert read(Path(f"{output}.errors.jsonl")) == [line]
    assert sent(at_emulator) == 2


def test_with_on_reject_added_they_go_on_where_they_were(
    make: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    make(accept=JSON, on_failed_rows="keep").infer(rows(0, 2), to(output))
    again = make(accept=JSON, on_reject=WARMER, on_failed_rows="keep")
    answered = again.infer(rows(0, 2), to(output))
    if again.options.mode == "batch":  # one further attempt at a time
        answered = again.infer(rows(0, 2), to(output))
    assert answers(answered) == ['{"ok": true}'] * 2
    assert sent(at_emulator) == 4
    assert not list(output.parent.glob("*.rejected"))


def test_an_answer_that_was_rejected_and_holds_by_other_rules_is_not_paid_again(
    make: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    make(accept=JSON, on_failed_rows="keep").infer(rows(0, 1), to(output))
    answered = make(accept={"not_empty": True}).infer(rows(0, 1), to(output))
    assert answers(answered) == ['{"ok": true}', BAD]
    assert sent(at_emulator) == 2


def test_keep_puts_a_last_rejected_answer_among_the_others_marked(
    make: EngineFactory, output: Path
) -> None:
    engine = make(accept={**JSON, "keep": True}, on_reject=WARMER)
    answered = engine.infer(rows(0, 9), to(output))
    assert answers(answered) == ['{"ok": true}', BAD]
    assert "rejected" not in answered[0].metadata
    mark = answered[1].metadata["rejected"]
    assert (mark["kind"], mark["times"]) == ("no JSON", 3)
    assert [line["metadata"].get("rejected") for line in read(output)] == [None, mark]


def test_a_function_gets_the_answered_conversation(make: EngineFactory) -> None:
    def holds(conversation: Conversation) -> str | None:
        said = str(conversation.messages[-1].content)
        return None if json.loads(said)["ok"] else "not ok"

    engine = make(accept=holds, on_reject=WARMER)
    assert answers(engine.infer(rows(0, 2))) == ['{"ok": true}'] * 2
    failure = make(accept=holds).infer_partial(rows(1)).failures[0]
    assert isinstance(failure, RejectedAnswer)
    assert failure.kind.startswith("JSONDecodeError: Expecting value")


def test_an_attempt_that_fails_leaves_the_rejected_answer(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    at_emulator.faults.add(Fault("POST", "/chat/completions$", status=400, after=1, times=None))
    failure = make_engine(accept=JSON, on_reject=WARMER).infer_partial(rows(1)).failures[0]
    assert isinstance(failure, RejectedAnswer)
    assert failure.error_message.endswith(BAD)


def test_results_by_id_only_report(make_engine: EngineFactory, at_emulator: Emulator) -> None:
    engine = make_engine(accept=JSON, on_reject=WARMER, poll_interval=0.02)
    batch = engine.infer_batch(rows(0, 1))
    engine.wait_for_batch(batch)
    with pytest.raises(IncompleteBatchError) as caught:
        engine.get_batch_results(batch, rows(0, 1))
    assert caught.value.counts == {"answered": 1, "rejected": 1, "failed": 0, "missing": 0}
    assert "1 × rejected: no JSON" in str(caught.value)
    assert caught.value.partial.error_messages[1].endswith(f"The answer: {BAD}")
    partial = engine.get_batch_results_partial(batch, rows(0, 1))
    assert partial.failed_indices == [1]
    assert len(at_emulator.jobs) == 1
    again = engine.retry_batch(batch, rows(0, 1))
    assert engine.retry_batch(batch, rows(0, 1)) == again
    engine.wait_for_batch(again)
    assert answers(engine.get_batch_results([batch, again], rows(0, 1))) == ['{"ok": true}'] * 2
    kept = make_engine(accept={**JSON, "keep": True})
    assert answers(kept.get_batch_results(batch, rows(0, 1))) == ['{"ok": true}', BAD]


def test_a_retry_by_id_runs_nothing_with_the_same_parameters(make_engine: EngineFactory) -> None:
    engine = make_engine(accept=JSON, poll_interval=0.02)
    batch = engine.infer_batch(rows(1))
    engine.wait_for_batch(batch)
    with pytest.raises(FireworksError, match=r"1 row was rejected, .*on_reject says how"):
        engine.retry_batch(batch, rows(1))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"accept": {"schema": True}}, "accept.schema is true, and there is no schema"),
        ({"accept": {"schema": {"type": "objekt"}}}, "accept.schema is no JSON schema"),
        (
            {"accept": JSON, "on_reject": {"max_new_tokens": 100}},
            "on_reject would change nothing: max_new_tokens is 100 already",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    make: EngineFactory, at_emulator: Emulator, output: Path, options: Any, says: str
) -> None:
    with pytest.raises(OptionError, match=says):
        make(**options).infer(rows(0), to(output))
    with pytest.raises(OptionError, match=says):
        make(**options).infer_batch(rows(0), to(output))
    assert sent(at_emulator) == 0


def test_rows_with_the_same_id_or_none_are_told_apart(make_engine: EngineFactory) -> None:
    conversations = [*rows(1, 0), *rows(9, 2)]
    for each in conversations:
        each.conversation_id = None
    result = make_engine(accept=JSON, on_reject=WARMER).infer_partial(conversations)
    assert [index for index, _ in result.successful] == [0, 1, 3]
    failure = result.failures[2]
    assert isinstance(failure, RejectedAnswer)
    assert failure.times == 3


def test_without_an_output_a_batch_of_rejected_rows_alone_is_not_paid_again(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    for _ in range(2):
        with pytest.raises(IncompleteBatchError):
            make_engine(mode="batch", poll_interval=0.02, accept=JSON).infer(rows(9))
    assert sent(at_emulator) == 1


def test_what_was_rejected_before_the_service_went_away_is_known_by_the_next_call(
    make_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    engine = make_engine(accept=JSON, on_reject=WARMER)
    at_emulator.faults.add(Fault("POST", "/chat/completions$", status=401, after=1))
    with pytest.raises(FireworksError):
        engine.infer(rows(2), to(output))
    assert answers(engine.infer(rows(2), to(output))) == ['{"ok": true}']
    asked = at_emulator.requests_to("POST", "/chat/completions$")
    taken = [each.body["temperature"] for each in asked if each.status == 200]
    assert taken == [0.0, 0.2, 0.4]


def test_a_rejected_row_and_those_that_ask_the_same_are_not_run_again(
    make: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    def same() -> list[Conversation]:
        return [ask("[[bad 9]]", conversation_id=f"row-{index}") for index in range(3)]

    config = to(output)
    config.generation.temperature = 0.0
    for _ in range(2):
        result = make(accept=JSON, dedupe="on").infer_partial(same(), config)
        assert {type(each) for each in result.failures.values()} == {RejectedAnswer}
        assert len(result.failures) == 3
    assert sent(at_emulator) == 1
