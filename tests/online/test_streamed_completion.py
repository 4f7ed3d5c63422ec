"""Streams put together again."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.online.streamed_completion import StreamedCompletion
from tests.online.chunks import chunks_of, encode

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=60)
NAME = st.text("abcdefgh_", min_size=1, max_size=12)

CALL = st.builds(
    lambda name, arguments, number: {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    NAME,
    TEXT,
    st.integers(0, 999),
)


@st.composite
def choices(draw: st.DrawFn, index: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": draw(TEXT)}
    if reasoning := draw(TEXT):
        message["reasoning_content"] = reasoning
    if calls := draw(st.lists(CALL, max_size=3)):
        message["tool_calls"] = calls
        message["content"] = message["content"] or None
    choice = {"index": index, "message": message, "finish_reason": draw(st.sampled_from(["stop"]))}
    tokens = st.builds(lambda t, p: {"token": t, "logprob": p}, TEXT, st.floats(-9, 0))
    if content := draw(st.lists(tokens, max_size=4)):
        choice["logprobs"] = {"content": content}
    return choice


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 3))
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1767225600,
        "model": "accounts/fireworks/models/toy",
        "choices": [draw(choices(index)) for index in range(count)],
        "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14},
    }


def put_together(stream: bytes, cuts: list[int] | None = None) -> dict[str, Any] | None:
    streamed = StreamedCompletion()
    edges = [0, *sorted(cuts or []), len(stream)]
    for begin, end in itertools.pairwise(edges):
        streamed.feed(stream[begin:end])
    return streamed.completion()


@given(completions(), st.integers(0, 1000), st.data())
def test_it_is_what_it_would_have_been_without_streaming(
    completion: dict[str, Any], seed: int, data: st.DataObject
) -> None:
    stream = encode(chunks_of(completion, seed=seed))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    assert put_together(stream, cuts) == completion


@given(completions(), st.data())
def test_a_stream_that_is_cut_is_no_answer(completion: dict[str, Any], data: st.DataObject) -> None:
    stream = encode(chunks_of(completion))
    cut = data.draw(st.integers(0, len(stream) - len(b"E]\n\n")))
    assert put_together(stream[:cut]) is None


ONE = {"index": 0, "delta": {"content": "x"}, "finish_reason": None}


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"data: [DONE]\n\n",
        encode(iter([{"choices": []}])),
        encode(iter([{"choices": [ONE]}])),
        encode(iter([{"choices": [{**ONE, "finish_reason": "stop"}]}]), done=False),
        encode(iter([{"choices": [{**ONE, "finish_reason": "stop"}]}])).replace(b"{", b"", 1),
        b"data: 7\n\ndata: []\n\ndata: null\n\ndata: [DONE]\n\n",
    ],
    ids=["nothing", "no chunk", "no choice", "no finish reason", "no [DONE]", "broken", "odd"],
)
def test_what_does_not_end_as_it_should_is_no_answer(stream: bytes) -> None:
    assert put_together(stream) is None


def test_an_error_in_the_stream_is_kept() -> None:
    error = {"error": {"message": "the model has crashed"}}
    assert put_together(encode(iter([{"choices": [ONE]}, error]))) is not None
    assert put_together(encode(iter([error]), done=False)) == error


def one_choice(*deltas: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the choice of a stream with these deltas."""
    parts = [{"index": 0, "delta": delta} for delta in deltas]
    parts.append({"index": 0, "delta": {}, "finish_reason": "stop", **more})
    completion = put_together(encode({"choices": [part]} for part in parts))
    assert completion is not None
    choice: dict[str, Any] = completion["choices"][0]
    return choice


def test_an_emoji_whose_halves_come_in_two_chunks_is_whole() -> None:
    halves = [
        rb'{"choices": [{"index": 0, "delta": {"content": "a \ud83d"}}]}',
        rb'{"choices": [{"index": 0, "delta": {"content": "\ude00 b \ud83d"}}]}',
        rb'{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}',
    ]
    stream = b"".join(b"data: " + half + b"\n\n" for half in halves) + b"data: [DONE]\n\n"
    completion = put_together(stream)
    assert completion is not None
    assert completion["choices"][0]["message"]["content"] == "a 😀 b �"
    assert orjson.dumps(completion)


def test_usage_may_come_in_a_chunk_of_its_own() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    parts: list[dict[str, Any]] = [
        {"choices": [end], "usage": None},
        {"choices": [], "usage": usage},
    ]
    completion = put_together(encode(iter(parts)))
    assert completion is not None
    assert completion["usage"] == usage


def test_log_probabilities_in_columns_are_put_together_too() -> None:
    columns = [{"tokens": ["a"], "token_logprobs": [-1]}, {"tokens": ["b"], "token_logprobs": [-2]}]
    parts: list[dict[str, Any]] = [{"index": 0, "delta": {}, "logprobs": each} for each in columns]
    parts.append({"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None})
    completion = put_together(encode({"choices": [part]} for part in parts))
    assert completion is not None
    assert completion["choices"][0]["logprobs"] == {
        "tokens": ["a", "b"],
        "token_logprobs": [-1, -2],
    }


def test_a_call_whose_pieces_have_no_index_or_repeat_the_name_is_one_call() -> None:
    choice = one_choice(
        {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f"}}]},
        {"tool_calls": [{"function": {"name": "f", "arguments": '{"a"'}}]},
        {"tool_calls": [{"id": "c1", "type": "function", "function": {"arguments": ": 1}"}}]},
    )
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        ],
    }


def test_token_ids_are_put_together_and_unknown_texts_too() -> None:
    parts = [
        {"index": 0, "delta": {"refusal": "I "}, "token_ids": [1, 2]},
        {"index": 0, "delta": {"refusal": "won't"}, "token_ids": [3], "finish_reason": "stop"},
    ]
    completion = put_together(encode({"choices": [part]} for part in parts))
    assert completion is not None
    assert completion["choices"][0]["token_ids"] == [1, 2, 3]
    assert completion["choices"][0]["message"]["refusal"] == "I won't"


def test_a_long_stream_is_read_as_it_comes() -> None:
    text = "all work and no play " * 1_000
    completion = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {},
    }
    stream = encode(chunks_of(completion))
    assert put_together(stream, list(range(0, len(stream), 1000))) == completion


@given(st.binary())
def test_no_bytes_are_too_odd(stream: bytes) -> None:
    put_together(stream)
