"""Messages count in grammatical words, and end in one full stop, whoever wrote their last words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.accept.rules import read_accept
from oumi_fireworks.accept.verdicts import Acceptance, verdict
from oumi_fireworks.api.refusals import error_from_answer
from oumi_fireworks.batch.failures import FailureSummary
from oumi_fireworks.batch.outcomes import Failure
from oumi_fireworks.grammar import clause, ended, form, number

FOREIGN = [
    "It broke",
    "It broke.",
    "It broke!",
    "Was it?",
    "Sure…",
    "Sure...",
    'He said "no."',
    "a:",
]
"""How the last words of a service, a library and a model end."""

_WRONG = re.compile(r"[.!?…:][\"']?\.(?!\.)")
"""A full stop after the end of a sentence."""


def test_a_count_has_the_form_of_its_noun() -> None:
    assert [number(count, "row") for count in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert number(12_000, "query", "queries") == "12,000 queries"
    assert [form(count, "is", "are") for count in (1, 2)] == ["is", "are"]


@pytest.mark.parametrize("text", FOREIGN)
def test_a_sentence_has_one_full_stop_whatever_ends_it(text: str) -> None:
    said = ended(text)
    assert said.startswith(text.rstrip(":"))
    assert re.search(r"[.!?…][\"']?$", said)
    assert not _WRONG.search(said.replace("...", "…"))


def test_a_text_within_a_sentence_loses_its_full_stop_and_nothing_else() -> None:
    assert [clause(text) for text in ("broke.", "broke", "b…", "b...", "b!")] == [
        "broke", "broke", "b…", "b...", "b!",
    ]  # fmt: skip


@given(st.text())
def test_ended_twice_is_ended_once(text: str) -> None:
    assert ended(ended(text)) == ended(text)


@pytest.mark.parametrize("text", FOREIGN)
@pytest.mark.parametrize("rules", [{"json": True}, {"finish_reason": ["stop"]}, {"test": str}])
def test_a_verdict_on_whatever_a_model_writes_is_one_sentence(
    rules: dict[str, object], text: str
) -> None:
    def says(answered: object) -> str:
        return text

    accept = read_accept({"test": says} if "test" in rules else rules)
    assert accept is not None
    answer = {"choices": [{"message": {"content": text}, "finish_reason": text}]}
    found = verdict(answer, Acceptance(accept, {}))
    assert found is not None
    assert ended(found.message) == found.message
    assert not _WRONG.search(found.message.replace("...", "…"))


@pytest.mark.parametrize("text", FOREIGN)
@pytest.mark.parametrize("status", [400, 401, 402, 404, 409, 412, 429, 500])
def test_a_refusal_goes_on_after_whatever_the_service_says(status: int, text: str) -> None:
    said = str(error_from_answer("POST /v1/x", status, {"error": {"message": text}}))
    assert not _WRONG.search(said.replace("...", "…"))


def test_a_kind_of_failure_counts_its_rows_and_ends_no_sentence_in_its_middle() -> None:
    one, more = FailureSummary(), FailureSummary()
    one.add(Failure(10, "The prompt is too long.", "400"))
    for index in range(2):
        more.add(Failure(index, "Overloaded…", "503"))
    assert one.lines() == ["1 × The prompt is too long (code 400; row 10)"]
    assert more.lines() == ["2 × Overloaded… (code 503; rows 0, 1)"]
