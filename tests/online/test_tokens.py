"""Tokens of requests: at most, probably, and really."""

from __future__ import annotations

from typing import Any

import pytest

from oumi_fireworks.money import Usage
from oumi_fireworks.online.tokens import (
    NO_TOKENS,
    TokenEstimate,
    Tokens,
    tokens_at_most,
    tokens_used,
)


def test_a_prompt_has_no_more_tokens_than_bytes() -> None:
    body = {"messages": [{"role": "user", "content": "日本語 and more"}], "max_tokens": 7, "n": 3}
    most = tokens_at_most(body)
    assert most.prompt >= len("日本語 and more".encode())
    assert most.generated == 21


def test_an_image_is_not_counted_by_its_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    text = {"type": "text", "text": "What is this?"}
    body = {"messages": [{"role": "user", "content": [text, image]}]}
    assert tokens_at_most(body).prompt < 10_000


def test_tools_count_as_prompt() -> None:
    tool = {"type": "function", "function": {"name": "search", "description": "x" * 500}}
    plain = tokens_at_most({"messages": []})
    assert tokens_at_most({"messages": [], "tools": [tool]}).prompt >= plain.prompt + 500


@pytest.mark.parametrize(
    ("usage", "used"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 3}, Tokens(10, 10, 3)),
        (
            {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 8}},
            Tokens(10, 2, 0),
        ),
        ({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}}, Tokens(1, 0, 0)),
        ({"prompt_tokens": "10", "prompt_tokens_details": []}, NO_TOKENS),
        (None, NO_TOKENS),
        ("many", NO_TOKENS),
    ],
)
def test_what_was_used_is_read_with_what_a_cache_held(usage: Any, used: Tokens) -> None:
    assert tokens_used(Usage.parse(usage)) == used


def test_an_estimate_is_corrected_by_each_answer() -> None:
    estimate = TokenEstimate()
    estimate.learn(400, Tokens(100, 50, 20))
    assert estimate.of(2, 800) == Tokens(200, 100, 40)
    for _ in range(200):
        estimate.learn(400, Tokens(200, 20, 60))
    probable = estimate.of(1, 400)
    assert probable.prompt == pytest.approx(200, rel=0.01)
    assert probable.uncached == pytest.approx(20, rel=0.01)
    assert probable.generated == pytest.approx(60, rel=0.01)


def test_an_answer_that_does_not_say_what_it_took_corrects_nothing() -> None:
    estimate = TokenEstimate()
    estimate.learn(400, Tokens(100, 100, 20))
    estimate.learn(400, NO_TOKENS)
    assert estimate.of(1, 400) == Tokens(100, 100, 20)
