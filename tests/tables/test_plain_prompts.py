"""What a line asks, read without Oumi's models: the same as with them, for any line at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from oumi.core.configs import GenerationParams

from oumi_fireworks.batch.requests import Request, encode_row
from oumi_fireworks.conversion import (
    Prompt,
    RequestTemplate,
    plain_conversation,
    plain_prompt,
    prompt_of,
)
from oumi_fireworks.conversion.prompts import ModelPrompt
from oumi_fireworks.tables.json_lines import parse, prompt_in

TEMPLATE = RequestTemplate(GenerationParams(max_new_tokens=9, tool_choice="auto"))

Text = st.SearchStrategy[str]


def outcome(read: Callable[[bytes], Prompt], line: bytes) -> object:
    """Return all that is learned of a line before it is sent: its row, or why there is none."""
    try:
        prompt = read(line)
    except ValueError as error:
        return "unreadable", str(error)
    known = prompt.conversation_id, prompt.digest()
    try:
        prompt.check()
        body = TEMPLATE.body(prompt)
    except ValueError as error:
        return *known, "refused", str(error)
    return *known, prompt.caution(), encode_row(Request(0, body, prompt.digest()))


def by_the_model(line: bytes) -> Prompt:
    return ModelPrompt(parse(line))


def listed(values: Text) -> Text:
    return st.lists(values, max_size=3).map(lambda each: f"[{', '.join(each)}]")


def objects(required: Mapping[str, Text], optional: Mapping[str, Text]) -> Text:
    """Objects as text, in any order; an optional field may be there twice."""
    pairs = [values.map(f'"{name}": {{}}'.format) for name, values in optional.items()]
    needed = [values.map(f'"{name}": {{}}'.format) for name, values in required.items()]
    return (
        st.tuples(st.tuples(*needed), st.lists(st.one_of(pairs), max_size=3))
        .flatmap(lambda each: st.permutations([*each[0], *each[1]]))
        .map(lambda each: f"{{{', '.join(each)}}}")
    )


TEXT = st.text(st.characters(codec="utf-8"), max_size=5).map(json.dumps) | st.sampled_from(
    ['""', '"\\u0000"', '"\\ud83d\\ude00"', '"é\u2028\x7f"', '"\\/"']
)
NUMBER = st.sampled_from(
    ["5", "-0", "1.5", "1e5", "-1e-400", "1" * 19, "9" * 19, "9" * 20, "-" + "9" * 20, "1" * 300]
)
DEEP = st.sampled_from([90, 101, 198, 201, 1100]).map(lambda depth: "[" * depth + "]" * depth)
NESTED = st.sampled_from(['{"a": null}', '{"a": 1, "b": 2, "a": 3}', '[1.0, {"b": [true]}]', "{}"])
VALUE = TEXT | NUMBER | NESTED | DEEP | st.sampled_from(["null", "true"])
BROKEN = st.sampled_from(
    ['"\\ud83d"', '"\t"', '"\ud800"', "01", "NaN", "1e400", "1" * 4301, "[", ""]
)
ROLE = st.sampled_from(['"user"', '"system"', '"assistant"', '"\\u0075ser"'])
CALL = '{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}'
TOOL = '{"type": "function", "function": {"name": "f"}}'
ITEMS = st.sampled_from(
    ['[{"type": "text", "content": "a"}]', '[{"type": "text", "text": "a"}]', "[]", "null"]
)
MAYBE = TEXT | st.just("null")
PLAIN_MESSAGE = objects(
    {"role": ROLE, "content": TEXT},
    {"id": MAYBE, "tool_calls": st.just("null"), "reasoning_content": st.just('""'), "w": VALUE},
)
MESSAGE = PLAIN_MESSAGE | objects(
    {"role": ROLE | st.sampled_from(['"tool"', '"User"', "null"]), "content": TEXT | ITEMS},
    {
        "tool_calls": st.sampled_from(["null", "[]", f"[{CALL}]"]), "tool_call_id": MAYBE,
        "reasoning_content": MAYBE, "content": VALUE, "r\\u006fle": ROLE, "w": BROKEN,
    },
)  # fmt: skip
METADATA = objects({}, {"a": TEXT, "b": NUMBER, "c": st.just("true")})
PLAIN_LINE = objects(
    {"messages": listed(PLAIN_MESSAGE)},
    {"conversation_id": MAYBE, "metadata": METADATA, "tools": st.just("null"), "label": VALUE},
)
LINE = objects(
    {"messages": listed(MESSAGE)},
    {
        "conversation_id": MAYBE | NUMBER, "metadata": METADATA | VALUE, "label": VALUE | BROKEN,
        "tools": st.sampled_from(["null", "[]", f"[{TOOL}]"]),
        "mess\\u0061ges": listed(MESSAGE),
    },
)  # fmt: skip
SOUND = (PLAIN_LINE | LINE).map(lambda line: line.encode("utf-8", "surrogatepass"))
DAMAGE = st.sampled_from([b"\xff", b"\xef\xbb\xbf", b"\0", b" ", b'"'])
DAMAGED = st.tuples(SOUND, st.integers(0, 99), DAMAGE).map(
    lambda each: each[0][: each[1]] + each[2] + each[0][each[1] :]
)
HELLO = '{"messages": [{"role": "user", "content": "a"}]}'


@given(SOUND | DAMAGED)
@example(b"")
@example(b"null")
@example(HELLO.encode("utf-16"))
@example(b"\xef\xbb\xbf" + HELLO.encode())
@example(HELLO.encode() * 2)
@example(f'{HELLO[:-1]}, "a": {"[" * 201}{"]" * 201}, "a": 1}}'.encode())
def test_a_line_asks_the_same_with_oumis_model_and_without(line: bytes) -> None:
    assert outcome(prompt_in, line) == outcome(by_the_model, line)


@given(SOUND)
def test_a_conversation_asks_the_same_with_its_model_and_as_texts(line: bytes) -> None:
    assert outcome(lambda line: prompt_of(parse(line)), line) == outcome(by_the_model, line)


@pytest.mark.parametrize(
    ("line", "is_plain"),
    [
        (HELLO, True),
        (HELLO[:-1] + ', "conversation_id": "x", "metadata": {"n": 1}, "tools": null}', True),
        (HELLO[:-1] + ', "score": 0.5, "tags": ["a", {"b": null}]}', True),
        ('{"messages": [{"role": "assistant", "content": "", "id": "m", "weight": 0}]}', True),
        ('{"messages": []}', False),
        (HELLO[:-1] + ', "metadata": {"n": 1.0}}', False),
        (HELLO[:-1] + f', "score": {"9" * 20}}}', False),
        (HELLO[:-1] + f', "deep": {"[" * 201}{"]" * 201}}}', False),
        ('{"messages": [{"role": "tool", "content": "a", "tool_call_id": "c"}]}', False),
        ('{"messages": [{"role": "user", "content": [{"type": "text", "content": "a"}]}]}', False),
    ],
)
def test_what_has_one_reading_needs_no_model(line: str, is_plain: bool) -> None:
    asked = plain_conversation(line.encode())
    assert (asked is not None and plain_prompt(asked) is not None) is is_plain
