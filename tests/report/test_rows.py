"""The rows of a report, from completions, from output files and from errors."""

from __future__ import annotations

import pytest

from oumi_fireworks.money import Usage
from oumi_fireworks.report import OutcomeKind, ReportedAnswer, ReportedFailure, Row

MESSAGE = {"role": "assistant", "content": "Yes."}
COMPLETION = {
    "id": "chatcmpl-1",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 12,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 8},
    },
}


def completion(
    content: object, finish_reason: str | None = "stop", **message: object
) -> dict[str, object]:
    message = {"role": "assistant", "content": content, **message}
    return {"choices": [{"message": message, "finish_reason": finish_reason}]}


def test_a_completion_becomes_an_answered_row() -> None:
    row = Row.from_completion(4, COMPLETION, conversation_id="c", prompt=[{"role": "user"}])
    assert row == Row(
        index=4,
        conversation_id="c",
        prompt=[{"role": "user"}],
        answer=ReportedAnswer(MESSAGE, "stop", Usage(12, 3, 8)),
    )
    assert row.kind is OutcomeKind.COMPLETE


def test_a_conversation_of_an_output_file_becomes_the_same_row() -> None:
    row = Row.from_oumi(
        4,
        {
            "conversation_id": "c",
            "messages": [{"role": "user"}, {"role": "assistant", "content": "Yes."}],
            "metadata": {
                "usage": {"prompt_tokens": 12, "completion_tokens": 3, "cached_tokens": 8},
                "finish_reason": "stop",
            },
        },
    )
    assert row == Row.from_completion(4, COMPLETION, conversation_id="c", prompt=[{"role": "user"}])


def test_a_conversation_without_an_answer_is_missing() -> None:
    row = Row.from_oumi(0, {"messages": [{"role": "user", "content": "Hello?"}]})
    assert row.kind is OutcomeKind.MISSING
    assert row.prompt == [{"role": "user", "content": "Hello?"}]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"kind": "refused", "message": "no", "code": 400}, ReportedFailure("no", "refused", 400)),
        ({"message": "no"}, ReportedFailure("no")),
        ("no", ReportedFailure("no")),
        (None, ReportedFailure("")),
        (["odd"], ReportedFailure("['odd']")),
        ({"kind": 7, "message": {"a": 1}, "code": []}, ReportedFailure("{'a': 1}")),
    ],
)
def test_failures_are_read_whatever_their_shape(error: object, failure: ReportedFailure) -> None:
    row = Row.from_failure(1, error)
    assert row.failure == failure
    assert row.kind is OutcomeKind.FAILED


def test_a_row_that_the_errors_file_calls_missing_has_not_failed() -> None:
    error = {"kind": "missing", "message": "no result from oumi-a", "code": None}
    assert Row.from_failure(3, error).kind is OutcomeKind.MISSING
    assert Row.from_failure(3, {**error, "code": "missing"}).kind is OutcomeKind.FAILED


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (completion("Yes."), OutcomeKind.COMPLETE),
        (completion("Yes.", None), OutcomeKind.COMPLETE),
        (completion("Yes, bu", "length"), OutcomeKind.CUT_OFF),
        (completion("", "length"), OutcomeKind.CUT_OFF),
        (completion(""), OutcomeKind.EMPTY),
        (completion(" \n"), OutcomeKind.EMPTY),
        (completion(None), OutcomeKind.EMPTY),
        (completion(None, tool_calls=[{"function": {"name": "f"}}]), OutcomeKind.COMPLETE),
        (completion([{"type": "text", "text": "Yes."}]), OutcomeKind.COMPLETE),
        (completion([{"type": "text", "content": "Yes."}]), OutcomeKind.COMPLETE),
        ({}, OutcomeKind.EMPTY),
        ({"choices": []}, OutcomeKind.EMPTY),
        ({"choices": [{"message": None, "finish_reason": 3}]}, OutcomeKind.EMPTY),
    ],
)
def test_every_answer_is_of_one_kind(answer: dict[str, object], kind: OutcomeKind) -> None:
    assert Row.from_completion(0, answer).kind is kind


@pytest.mark.parametrize("usage", [None, [], {}, {"prompt_tokens": "12"}, {"prompt_tokens": -1}])
def test_an_unreadable_usage_counts_as_none(usage: object) -> None:
    assert Usage.parse(usage) is None


def test_a_row_cannot_have_both_an_answer_and_a_failure() -> None:
    with pytest.raises(ValueError, match="row 3 has both"):
        Row(3, answer=ReportedAnswer({}), failure=ReportedFailure("no"))
