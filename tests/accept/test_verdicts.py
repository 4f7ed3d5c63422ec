"""Answers against rules: a table of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oumi_fireworks.accept.rules import read_accept
from oumi_fireworks.accept.verdicts import Acceptance, Rejection, verdict
from oumi_fireworks.errors import OptionError
from tests.accept.support import calling, completion

ORDER = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "price": {"type": "number", "minimum": 0},
                    "name": {"type": "string"},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        },
        "currency": {"enum": ["EUR", "USD"]},
        "note": {"type": ["string", "null"], "maxLength": 5},
        "when": {"type": "string", "format": "date-time"},
    },
    "required": ["items"],
}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def judge(answer: dict[str, Any], accept: Any, **fields: Any) -> Rejection | None:
    rules = read_accept(accept)
    assert rules is not None
    return verdict(answer, Acceptance(rules, fields))


FINISH = {"finish_reason": ["stop", "tool_calls"]}

TABLE: list[tuple[Any, dict[str, Any], str | None]] = [
    # why it ended
    (FINISH, completion("yes"), None),
    (FINISH, completion("yes", "STOP"), None),
    (FINISH, completion("ye", "length"), "cut off"),
    (FINISH, completion("", "length", reasoning_content="hm"), "cut off"),
    (FINISH, completion("", "content_filter"), "finish_reason: content_filter"),
    (FINISH, completion("yes", None), "finish_reason: not given"),
    (FINISH, completion("yes", 7), "finish_reason: not given"),
    (FINISH, calling("get_weather", "{}"), None),
    ({"finish_reason": "stop"}, calling("get_weather", "{}"), "finish_reason: tool_calls"),
    ({"finish_reason": ["stop", "length"]}, completion("ye", "length"), None),
    # whether it says anything
    ({"not_empty": True}, completion("yes"), None),
    ({"not_empty": True}, completion("0"), None),
    ({"not_empty": True}, completion(""), "empty"),
    ({"not_empty": True}, completion(" \n\t"), "empty"),
    ({"not_empty": True}, completion(None), "empty"),
    ({"not_empty": True}, completion([]), "empty"),
    ({"not_empty": True}, completion([{"type": "text", "text": "yes"}]), None),
    ({"not_empty": True}, completion("", reasoning_content="I think that"), "empty"),
    ({"not_empty": True}, calling("get_weather", "{}"), None),
    # JSON
    ({"json": True}, completion('{"a": 1}'), None),
    ({"json": True}, completion(' [1, 2]\n'), None),
    ({"json": True}, completion("true"), None),
    ({"json": True}, completion('"a \\ud800 half"'), None),
    ({"json": True}, completion("123456789012345678901234567890"), None),
    ({"json": True}, completion(""), "no JSON"),
    ({"json": True}, completion('{"a": 1'), "no JSON"),
    ({"json": True}, completion('{"a": NaN}'), "no JSON"),
    ({"json": True}, completion("{'a': 1}"), "no JSON"),
    ({"json": True}, completion('```json\n{"a": 1}\n```'), "no JSON"),
    ({"json": True}, completion('Here it is: {"a": 1}'), "no JSON"),
    ({"json": True}, completion('{"a": 1} Anything else?'), "no JSON"),
    ({"json": True}, completion("[" * 100_000 + "]" * 100_000), "no JSON"),
    ({"json": True}, completion("[" * 200_000), "no JSON"),
    ({"json": True}, calling("get_weather", "{}"), None),  # its text is what has to be JSON
    ({"json": True}, completion("not", "tool_calls", tool_calls=[{"id": "1"}]), "no JSON"),
    # a schema
    ({"schema": ORDER}, completion('{"items": [{"name": "tea", "price": 2}]}'), None),
    ({"schema": ORDER}, completion("nothing"), "no JSON"),
    ({"schema": ORDER}, completion("[]"), "schema: the value is not an object"),
    ({"schema": ORDER}, completion("{}"), "schema: the value lacks items"),
    ({"schema": ORDER}, completion('{"items": []}'), "schema: /items has fewer than 1 item"),
    (
        {"schema": ORDER},
        completion(json.dumps({"items": [{"name": "a"}] * 3 + [{"name": "b", "price": "2"}]})),
        "schema: /items/3/price is not a number",
    ),
    (
        {"schema": ORDER},
        completion('{"items": [{"name": "tea", "price": -1}]}'),
        "schema: /items/0/price is less than 0",
    ),
    (
        {"schema": ORDER},
        completion('{"items": [{"name": "tea", "size": 1}]}'),
        "schema: /items/0 has the field size, which the schema does not have",
    ),
    (
        {"schema": ORDER},
        completion('{"items": [{"name": "tea"}], "currency": "DM"}'),
        "schema: /currency is none of EUR, USD",
    ),
    (
        {"schema": ORDER},
        completion('{"items": [{"name": "tea"}], "note": 5}'),
        "schema: /note is not a string or null",
    ),
    (
        {"schema": ORDER},
        completion('{"items": [{"name": "tea"}], "when": "tomorrow"}'),
        "schema: /when is not of the format date-time",
    ),
    ({"schema": {"type": "integer"}}, completion("1.0"), None),
    ({"schema": {"type": "integer"}}, completion("true"), "schema: the value is not an integer"),
    ({"schema": '{"type": "integer"}'}, completion("1"), None),
    ({"schema": {"anyOf": [{"type": "null"}, {"minimum": 5}]}}, completion("5"), None),
    (
        {"schema": {"items": {"$ref": "#"}}},
        completion("[" * 900 + "]" * 900),
        "schema: the value is nested too deeply",
    ),
    (
        {"schema": {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1,
                    "exclusiveMinimum": True}},
        completion("1"),
        "schema: the value is not more than 1",
    ),
    # several rules: the first that is broken
    ({**FINISH, "json": True, "not_empty": True}, completion("{", "length"), "cut off"),
    ({**FINISH, "json": True, "not_empty": True}, completion(""), "empty"),
]  # fmt: skip


@pytest.mark.parametrize(("accept", "answer", "kind"), TABLE)
def test_an_answer_holds_or_is_of_a_kind(
    accept: Any, answer: dict[str, Any], kind: str | None
) -> None:
    found = judge(answer, accept)
    assert (None if found is None else found.kind) == kind
    if found is not None:
        assert found.message.endswith(".")
        assert len(found.message) < 300


TOOL_TABLE: list[tuple[dict[str, Any], str | None]] = [
    (calling("get_weather", '{"city": "Ulm"}'), None),
    (calling("get_weather", {"city": "Ulm"}), None),
    (calling("get_weather", '{"city": 5}'),
     "tool call: of the arguments of get_weather, /city is not a string"),
    (calling("get_weather", "{}"),
     "tool call: of the arguments of get_weather, the value lacks city"),
    (calling("get_weather", '{"city": "Ul'),
     "tool call: the arguments of get_weather are no JSON"),
    (calling("get_weather", ""), "tool call: the arguments of get_weather are no JSON"),
    (calling("get_weather", "[]"), "tool call: the arguments of get_weather are no JSON object"),
    (calling("get_wether", "{}"), "tool call: there is no tool get_wether"),
    (completion(None, "tool_calls", tool_calls=[{"id": "1"}]), "tool call: there is no tool None"),
    (completion("no call at all"), None),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "kind"), TOOL_TABLE)
def test_a_tool_call_fits_the_tools_of_all_rows_or_of_its_own(
    answer: dict[str, Any], kind: str | None
) -> None:
    rules = read_accept({"tools": True})
    assert rules is not None
    of_all, of_its_own = Acceptance(rules, {"tools": [WEATHER]}), Acceptance(rules, {})
    assert (of_all.needs_tools, of_its_own.needs_tools) == (False, True)
    for found in (verdict(answer, of_all), verdict(answer, of_its_own, [WEATHER])):
        assert (None if found is None else found.kind) == kind


@pytest.mark.parametrize(
    ("text", "finish", "words"),
    [
        ('```json\n{"a": 1}\n```', "stop", "stands in a code fence"),
        ('<think>hm</think>{"a": 1}', "stop", "begins with the model's thoughts"),
        ('Here it is: {"a": 1}', "stop", "has other text around its JSON; it begins: Here it is"),
        ("I cannot do that.", "stop", "begins: I cannot do that."),
        ('{"a": 1', "length", "cut off at the limit of its tokens"),
        ('{"a": 1 "b": 2}', "stop", "at character 8"),
        ('{"a": NaN}', "stop", "NaN is a number that JSON does not have"),
    ],
)
def test_why_a_text_is_no_json_is_said_helpfully(text: str, finish: str, words: str) -> None:
    found = judge(completion(text, finish), {"json": True})
    assert found is not None
    assert words in found.message


def test_an_answer_that_is_reasoning_alone_says_so() -> None:
    found = judge(completion("", "length", reasoning_content="x" * 5000), FINISH)
    assert found is not None
    assert "spent its tokens on reasoning (5,000 characters)" in found.message


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (None, None),
        ("too short", "too short"),
        ("  over\ntwo lines ", "over two lines"),
        ("", "the test gives no reason"),
        (False, "False"),
    ],
)
def test_a_test_of_the_users_takes_the_conversation(said: Any, kind: str | None) -> None:
    asked: list[object] = []

    def test(conversation: object) -> Any:
        asked.append(conversation)
        return said

    rules = read_accept(test)
    assert rules is not None
    found = verdict(completion("yes"), Acceptance(rules, {}), answered="the conversation")
    assert (None if found is None else found.kind) == kind
    assert asked == ["the conversation"]


def test_a_test_that_breaks_rejects_the_answer_with_its_error() -> None:
    def test(conversation: object) -> str | None:
        raise KeyError("label")

    found = judge(completion("yes"), {"test": test})
    assert found is not None
    assert found.kind == "KeyError: 'label'"


def test_a_test_sees_only_answers_that_meet_the_other_rules() -> None:
    def test(conversation: object) -> str | None:
        raise AssertionError("not to be asked")

    found = judge(completion("no"), {"json": True, "test": test})
    assert found is not None
    assert found.kind == "no JSON"


def test_the_answer_that_came_nearer_is_worth_more() -> None:
    rules = {**FINISH, "not_empty": True, "schema": ORDER}
    answers = [
        completion(""),
        completion("{", "length"),
        completion("none"),
        completion("{}"),
    ]
    found = [judge(each, rules) for each in answers]
    worth = [each.worth for each in found if each is not None]
    assert worth == sorted(set(worth))
    assert len(worth) == len(answers)


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "R", "schema": ORDER}}},
        {"response_format": {"type": "json_schema", "json_schema": json.dumps(ORDER)}},
        {"response_format": {"type": "json_schema", "schema": ORDER}},
        {"guided_json": ORDER},
    ],
)
def test_schema_true_is_the_one_that_the_service_is_asked_to_keep_to(fields: Any) -> None:
    assert judge(completion("{}"), {"schema": True}, **fields) == judge(
        completion("{}"), {"schema": ORDER}
    )


@pytest.mark.parametrize(
    "fields",
    [{}, {"response_format": {"type": "json_object"}}, {"response_format": {"type": "text"}}],
)
def test_schema_true_without_a_schema_is_refused(fields: Any) -> None:
    with pytest.raises(OptionError, match=r"accept\.schema is true, and there is no schema"):
        judge(completion("{}"), {"schema": True}, **fields)


def test_what_has_no_answer_is_not_judged() -> None:
    assert judge({"error": {"message": "no"}}, {"not_empty": True, "json": True}) is None
    assert judge({"choices": []}, FINISH) is None


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "name", "price", "note", "x/y~"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(value=values)
@settings(deadline=None)
def test_json_that_was_written_always_parses_and_a_fault_is_always_in_words(value: Any) -> None:
    text = json.dumps(value)
    assert judge(completion(text), {"json": True}) is None
    found = judge(completion(text), {"schema": ORDER})
    assert found is None or (
        found.kind.startswith("schema: ") and "breaks the rule" not in found.kind
    )
