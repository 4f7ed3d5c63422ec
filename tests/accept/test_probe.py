"""What is not asked for, and would be worth a rule."""

from __future__ import annotations

from typing import Any

import pytest

from oumi_fireworks.accept.probe import Probe
from oumi_fireworks.accept.rules import read_accept, read_on_reject
from tests.accept.support import calling, completion

GUIDED = {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}}
ANSWERS = [
    completion("{}"), completion("{", "length"), completion(""), completion("no"),
    completion("[]"), calling("f", "{}"), completion("{}", "content_filter"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("accept", "fields", "kinds"),
    [
        (None, {}, {"cut off": 1, "empty": 1}),
        (None, {"response_format": {"type": "json_object"}},
         {"cut off": 1, "empty": 1, "no JSON": 1}),
        (None, GUIDED, {"cut off": 1, "empty": 1, "no JSON": 1, "not the schema": 1}),
        ({"finish_reason": ["stop"]}, GUIDED, {"empty": 1, "no JSON": 2, "not the schema": 1}),
        ({"schema": True, "not_empty": True}, GUIDED, {"cut off": 1}),
        (None, {"guided_json": {"type": "objekt"}}, {"cut off": 1, "empty": 1}),
    ],
)  # fmt: skip
def test_what_would_be_rejected_is_counted(accept: Any, fields: Any, kinds: Any) -> None:
    probe = Probe(read_accept(accept), fields)
    for answer in ANSWERS:
        probe.look(answer)
    assert probe.answers == len(ANSWERS)
    assert dict(probe.kinds) == kinds


def test_the_line_to_add_is_one_that_the_options_take() -> None:
    import yaml  # type: ignore[import-untyped]

    probe = Probe(None, GUIDED)
    for answer in ANSWERS:
        probe.look(answer)
    (advice,) = probe.advice()
    assert advice.startswith("Among 7 answers that were taken: 1 cut off, 1 empty, 1 no JSON, 1 ")
    accept, _, on_reject = advice.partition("accept: ")[2].partition(" and on_reject: ")
    rules = read_accept(yaml.safe_load(accept))
    assert rules is not None
    assert (rules.finish_reason, rules.not_empty, rules.schema) == (
        ("stop", "tool_calls"),
        True,
        True,
    )
    assert read_on_reject(yaml.safe_load(on_reject)) is not None


def test_nothing_is_said_where_all_is_well() -> None:
    probe = Probe(None, {})
    probe.look(completion("yes"))
    assert probe.advice() == []


def test_of_very_many_answers_some_are_held_against_a_schema() -> None:
    probe = Probe(None, GUIDED)
    for _ in range(10_100):
        probe.look(completion("[]"))
    assert (probe.answers, probe.held, probe.kinds["not the schema"]) == (10_100, 10_005, 10_005)
    (advice,) = probe.advice()
    assert "10,005 not the schema (of 10,005 that were held against it)." in advice
    whole = Probe(None, {})
    for _ in range(10_100):
        whole.look(completion(""))
    assert "10,100 empty. To have" in whole.advice()[0]
