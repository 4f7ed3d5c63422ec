"""Rows and their answers as Oumi reads and writes them, by its models or without."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oumi_fireworks.conversion import plain_conversation, to_conversation, why_unreadable
from oumi_fireworks.errors import ConversionError, InputChangedError
from oumi_fireworks.tables.conversations import SentRow
from oumi_fireworks.tables.json_lines import JsonLine, parse
from oumi_fireworks.tables.unknown_fields import with_unknown_fields
from oumi_fireworks.user_json import dumps, loads

ROW = 7
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner))
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}
ROLES = st.sampled_from(["user", "system", "assistant", "tool"])


def fields(required: Mapping[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the fields in any order."""
    whole = st.fixed_dictionaries(dict(required), optional=optional)
    return whole.flatmap(lambda made: st.permutations(list(made.items())).map(dict))


MESSAGES = fields(
    {"role": ROLES, "content": TEXT | st.just([{"type": "text", "content": "a"}])},
    id=st.none() | TEXT, tool_calls=st.sampled_from([None, [], [CALL]]),
    tool_call_id=st.none() | TEXT, reasoning_content=st.none() | TEXT, weight=VALUE,
)  # fmt: skip
ASKED = fields(
    {"messages": st.lists(MESSAGES, max_size=3)},
    conversation_id=st.none() | TEXT, metadata=st.dictionaries(TEXT, VALUE, max_size=3),
    tools=st.sampled_from([None, [], [TOOL]]), label=VALUE,
)  # fmt: skip
ANSWERS = fields(
    {"content": st.none() | TEXT | st.just(5)},
    role=st.sampled_from([None, "", "assistant", "tool", "odd", 5]),
    tool_calls=st.sampled_from([None, [], [CALL], [{}], "no"]),
    reasoning=st.sampled_from([None, "", "why", 5]),
    reasoning_content=st.sampled_from([None, "", "how", []]), refusal=VALUE,
)  # fmt: skip
COMPLETIONS = fields(
    {
        "choices": st.lists(
            fields({"message": ANSWERS}, finish_reason=st.sampled_from(["stop", "odd", None, 5])),
            max_size=1,
        )
    },
    usage=st.sampled_from([None, {}, {"prompt_tokens": 2}, {"prompt_tokens": True}, 5]),
    error=st.sampled_from([None, "no"]),
)
PLAIN = {"messages": [{"role": "user", "content": "a"}]}
HELLO = {"choices": [{"message": {"role": "assistant", "content": "hello"}}]}


def by_oumis_models(line: bytes, completion: dict[str, Any]) -> bytes:
    conversation = parse(line)
    if conversation.conversation_id is None:
        texts = [m.content for m in conversation.messages if isinstance(m.content, str)]
        name = f"{ROW}_{hashlib.sha256(','.join(texts).encode()).hexdigest()}"
        conversation.conversation_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    answered = to_conversation(completion, conversation).to_dict()
    return dumps(with_unknown_fields(answered, loads(line)))


def sent(line: bytes) -> SentRow:
    return SentRow(JsonLine("asked.jsonl", 1, line), ROW, lambda: InputChangedError("changed"))


@given(ASKED, COMPLETIONS)
@example(PLAIN, HELLO)
@example({**PLAIN, "metadata": {"usage": 1, "big": 2**70, "yes": True}, "label": 2**70}, HELLO)
def test_each_byte_is_as_oumis_models_write_it(asked: Any, completion: Any) -> None:
    line = json.dumps(asked).encode()
    fault = why_unreadable(completion)
    if fault is not None:
        with pytest.raises(ConversionError, match=f"^{re.escape(fault)}$"):
            by_oumis_models(line, completion)
        return
    assert dumps(sent(line).answered(completion)) == by_oumis_models(line, completion)


@pytest.mark.parametrize(
    "line",
    [
        b'{"messages":[],"messages":[{"role":"user","role":"system","content":"a","content":"b"}]}',
        b'{"metadata":{"a":1,"b":2,"a":3},"messages":[{"content":"\\ud83d\\ude00","role":"user"}]}',
        b'{"messages":[{"content":"a","role":"user","\\u0069d":"m"}],"metadata":{"a":1.0,"b":-0}}',
        b'{"messages":[{"content":"a","role":"user"}],"metadata":{"a":1e400,"b":NaN},"n":NaN}',
    ],
)
def test_odd_json_is_read_as_oumi_reads_it(line: bytes) -> None:
    assert dumps(sent(line).answered(HELLO)) == by_oumis_models(line, HELLO)


@pytest.mark.parametrize(
    "line",
    [
        PLAIN,
        {**PLAIN, "conversation_id": "x", "metadata": {"a": 1, "b": "c"}, "label": 1.5},
        {"messages": [{"role": "user", "content": "a", "id": "m", "weight": 0.5}]},
    ],
)
def test_rows_as_most_are_need_no_models(line: dict[str, Any]) -> None:
    assert plain_conversation(dumps(line)) == line


@pytest.mark.parametrize("line", [b"{", b"[]", b"5", b'{"messages": 5}'])
def test_a_line_that_cannot_be_read_any_more_has_changed(line: bytes) -> None:
    with pytest.raises(InputChangedError):
        sent(line).answered(HELLO)
