"""The toy model: deterministic, and doing what it is told."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from oumi_fireworks.emulator.toy.markers import prompt_in
from oumi_fireworks.emulator.toy.model import complete
from oumi_fireworks.emulator.wire.chat_request import check_chat_body

MODEL = "accounts/fireworks/models/toy"
WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 3},
            "days": {"type": "integer", "minimum": 2, "maximum": 5},
            "unit": {"enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}
SEARCH = {"name": "search", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": each} for each in (WEATHER, SEARCH)]


def ask(*messages: dict[str, Any] | str, **body: Any) -> dict[str, Any]:
    """The completion of a request that the service would accept."""
    told = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
    request = check_chat_body({"messages": told, **body})
    return complete(request, prompt_in(told), MODEL, created=1)


def choice(*messages: dict[str, Any] | str, **body: Any) -> dict[str, Any]:
    return dict(ask(*messages, **body)["choices"][0])


def text(*messages: dict[str, Any] | str, **body: Any) -> str:
    return str(choice(*messages, **body)["message"]["content"])


def test_it_says_what_it_is_and_what_it_heard() -> None:
    assert text("How are you?") == (
        f"This is the emulator's toy model in place of {MODEL}. You wrote: How are you?"
    )


def test_it_quotes_no_more_than_a_line() -> None:
    assert text("x" * 1000).endswith("x" * 80 + "...")


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_cuts_the_answer(field: str) -> None:
    whole, short = text("hi"), choice("hi", **{field: 5})
    assert short["message"]["content"] == whole[:20]
    assert short["finish_reason"] == "length"
    assert ask("hi", **{field: 5})["usage"]["completion_tokens"] == 5
    assert choice("hi", **{field: 1000})["finish_reason"] == "stop"


def test_it_stops_at_the_first_stop_sequence() -> None:
    stopped = choice("[[reply one two three]]", stop=["three", "two", ""])
    assert stopped["message"]["content"] == "one "
    assert stopped["finish_reason"] == "stop"
    assert text("[[reply one two three]]", stop="two") == "one "


def test_it_makes_as_many_choices_as_asked() -> None:
    choices = ask("hi", n=4)["choices"]
    assert [each["index"] for each in choices] == [0, 1, 2, 3]
    assert len({each["message"]["content"] for each in choices}) == 4


def test_usage_adds_up_and_caches_the_system_prompt() -> None:
    usage = ask({"role": "system", "content": "x" * 40}, "y" * 8)["usage"]
    assert usage["prompt_tokens"] == (1 + 10) + (1 + 2)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 11}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize(
    "body",
    [
        {"reasoning_effort": "low"},
        {"reasoning_effort": True},
        {"reasoning_effort": 500},
        {"thinking": {"type": "enabled"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ],
)
def test_it_reasons_when_asked(body: dict[str, Any]) -> None:
    message = choice("hi", **body)["message"]
    assert message["reasoning_content"].startswith("The toy model pretends to think.")
    assert message["content"] == text("hi")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reasoning_effort": "none"},
        {"reasoning_effort": False},
        {"reasoning_effort": None},
        {"thinking": {"type": "disabled"}},
    ],
)
def test_otherwise_it_does_not(body: dict[str, Any]) -> None:
    assert "reasoning_content" not in choice("hi", **body)["message"]


def test_more_effort_is_more_reasoning_and_a_number_bounds_it() -> None:
    lengths = [
        len(choice("hi", reasoning_effort=effort)["message"]["reasoning_content"])
        for effort in (2, "low", "medium", "high")
    ]
    assert lengths == sorted(set(lengths))
    assert lengths[0] == 8


def test_reasoning_counts_against_the_limit() -> None:
    tight = choice("hi", reasoning_effort="low", max_tokens=10)
    message = tight["message"]
    assert len(message["reasoning_content"] + message["content"]) == 40
    assert tight["finish_reason"] == "length"


@pytest.mark.parametrize("tool_choice", [None, "auto", "required", "any"])
def test_it_calls_a_tool_with_valid_arguments(tool_choice: str | None) -> None:
    called = choice("What is the weather?", tools=TOOLS[:1], tool_choice=tool_choice)
    assert called["finish_reason"] == "tool_calls"
    assert called["message"]["content"] is None
    (call,) = called["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["id"].startswith("call_")
    assert call["function"]["name"] == "weather"
    jsonschema.validate(json.loads(call["function"]["arguments"]), WEATHER["parameters"])


@pytest.mark.parametrize(
    "tool_choice",
    [{"type": "function", "function": {"name": "search"}}, {"type": "function", "name": "search"}],
)
def test_it_calls_the_tool_that_is_forced(tool_choice: dict[str, Any]) -> None:
    (call,) = choice("hi", tools=TOOLS, tool_choice=tool_choice)["message"]["tool_calls"]
    assert call["function"]["name"] == "search"


def test_told_not_to_it_calls_none() -> None:
    assert choice("hi", tools=TOOLS, tool_choice="none")["finish_reason"] == "stop"


def test_it_answers_from_the_result_of_a_tool() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    said = text(
        "hi",
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "42 degrees"},
        tools=TOOLS,
    )
    assert said.endswith("The tool answered: 42 degrees")


def test_it_notices_images() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    answered = ask({"role": "user", "content": parts})
    said = answered["choices"][0]["message"]["content"]
    assert "You wrote: What is this?" in said
    assert "It was shown 2 image(s)" in said
    assert answered["usage"]["prompt_tokens"] > 512


@pytest.mark.parametrize("wrap", [True, False])
def test_it_answers_in_json_that_fits_a_schema(wrap: bool) -> None:
    schema = WEATHER["parameters"]
    asked = {"name": "w", "schema": schema} if wrap else schema
    said = text("hi", response_format={"type": "json_schema", "json_schema": asked})
    jsonschema.validate(json.loads(said), schema)


def test_it_answers_in_json_without_a_schema() -> None:
    answered = json.loads(text("hi", response_format={"type": "json_object"}))
    assert answered == {"answer": text("hi")}
    schema = {"type": "object", "properties": {"a": {"const": 3}}}
    with_schema = text("hi", response_format={"type": "json_object", "schema": schema})
    assert json.loads(with_schema) == {"a": 3}
    assert text("hi", response_format={"type": "text"}) == text("hi")


def test_json_can_be_cut_off_too() -> None:
    schema = {"type": "string", "minLength": 100}
    body = {"response_format": {"type": "json_schema", "json_schema": schema}, "max_tokens": 5}
    assert choice("hi", **body)["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("[[reply just this]]", "just this"),
        ("please [[echo]] this", "please [[echo]] this"),
        ("[[words 3]]", "toy toy toy"),
        ("[[words ٣]]", " ".join(["toy"] * 100)),
        ("[[empty]]", ""),
    ],
)
def test_markers_shape_the_answer(asked: str, said: str) -> None:
    assert text(asked) == said


def test_markers_give_null_and_line_separators() -> None:
    assert choice("[[null]]")["message"]["content"] is None
    separators = text("[[separators]]")
    assert len(separators.splitlines()) > 5
    assert "\n" not in separators


def test_only_the_last_user_message_has_markers_that_count() -> None:
    history: list[dict[str, Any] | str] = [
        "[[empty]]",
        {"role": "assistant", "content": "[[null]]"},
        "hi",
    ]
    assert text(*history).endswith("You wrote: hi")
    parts = [{"type": "text", "text": "[[reply x]]"}]
    assert text({"role": "user", "content": parts}) == "x"
