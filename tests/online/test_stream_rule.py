"""Which requests are streamed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from oumi_fireworks.online.stream_rule import StreamMode, StreamRule, longest_answer, streamed_body

LIVE = "Requests with max_tokens > 4096 must have stream=true"


@pytest.mark.parametrize(
    ("mode", "streamed"),
    [("auto", [False, False, True]), ("always", [True] * 3), ("never", [False] * 3)],
)
def test_long_answers_are_streamed_unless_it_is_forced_or_forbidden(
    mode: StreamMode, streamed: list[bool]
) -> None:
    rule = StreamRule(mode)
    assert [rule.applies_to(longest) for longest in (0, 4096, 4097)] == streamed


@pytest.mark.parametrize(
    ("message", "longest", "bound"),
    [
        (LIVE.replace("4096", "1024"), 4000, 1024),
        (LIVE.replace("4096", "1024").replace("max_tokens", "max_completion_tokens"), 4000, 1024),
        ("stream must be true for such max_tokens", 2000, 1999),
        (LIVE.replace("4096", "9000"), 2000, 1999),
    ],
)
def test_another_bound_is_learned(message: str, longest: int, bound: int) -> None:
    rule = StreamRule()
    assert rule.learn(longest, message)
    assert rule.applies_to(bound + 1)
    assert not rule.applies_to(bound)


@pytest.mark.parametrize("mode", ["always", "never"])
def test_what_is_forced_learns_nothing(mode: StreamMode) -> None:
    assert not StreamRule(mode).learn(5000, LIVE)


@pytest.mark.parametrize("message", ["max_tokens must be positive", "stream: bad", ""])
def test_other_errors_teach_nothing(message: str) -> None:
    assert not StreamRule().learn(5000, message)


@pytest.mark.parametrize(
    ("body", "longest"),
    [
        ({"max_tokens": 5000}, 5000),
        ({"max_completion_tokens": 5000}, 5000),
        ({}, 0),
        ({"max_tokens": None}, 0),
    ],
)
def test_both_names_count(body: dict[str, Any], longest: int) -> None:
    assert longest_answer(body) == longest


def test_a_request_asks_for_a_stream_with_usage() -> None:
    assert orjson.loads(streamed_body(b'{"model":"m"}')) == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
