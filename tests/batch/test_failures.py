"""Failures by kind: a summary whose size does not grow."""

from __future__ import annotations

from oumi_fireworks.batch import Failure, FailureSummary, Missing, UnreadableAnswer
from oumi_fireworks.batch.failures import MISSING_KIND, UNREADABLE_KIND, kind_of


def test_messages_that_differ_in_numbers_and_names_are_of_one_kind() -> None:
    one = Failure(0, "prompt of 8123 tokens exceeds 'limit' of 4096 (request 8a6f00bd12)")
    two = Failure(1, "prompt of 9000 tokens exceeds 'bound' of 4096 (request 00ff00ff00)")
    assert kind_of(one) == kind_of(two)
    assert kind_of(one) != kind_of(Failure(2, "the model is overloaded"))


def test_the_code_is_the_kind_where_there_is_one() -> None:
    assert kind_of(Failure(0, "one", "429")) == kind_of(Failure(1, "another", "429")) == "429"


def test_kinds_are_counted_with_a_few_examples_the_most_frequent_first() -> None:
    summary = FailureSummary()
    for index in range(5):
        summary.add(Failure(index, f"row {index} is too long"))
    summary.add(Missing(7))
    summary.add(Missing(8), "no result from the batch")
    summary.add(UnreadableAnswer(9, "a broken tool call"))
    assert summary.total == 8
    assert summary.kinds[MISSING_KIND].count == 2
    assert summary.kinds[UNREADABLE_KIND].examples == [(9, "a broken tool call")]
    assert summary.lines() == [
        "5 × row 0 is too long (rows 0, 1, 2, …)",
        "2 × in none of the result files (rows 7, 8)",
        "1 × a broken tool call (row 9)",
    ]
    assert summary.messages() == [
        "row 0 is too long",
        "in none of the result files",
        "a broken tool call",
    ]


def test_it_does_not_grow_with_the_failures() -> None:
    summary = FailureSummary()
    for index in range(5000):
        word = "".join(chr(ord("g") + int(digit)) for digit in str(index))
        summary.add(Failure(index, f"{word} went wrong " + "and so on " * 100))
    assert summary.total == 5000
    assert len(summary.kinds) <= 51
    assert sum(len(kind.examples) for kind in summary.kinds.values()) <= 3 * 51
    assert all(len(line) < 200 for line in summary.lines())
    assert all("\n" not in line for line in summary.lines())


def test_nothing_failed() -> None:
    summary = FailureSummary()
    assert (summary.total, summary.lines(), summary.messages()) == (0, [], [])
