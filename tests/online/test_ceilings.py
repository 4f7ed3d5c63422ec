"""The user's ceilings, decision by decision; test_pacing.py runs them in traffic."""

from __future__ import annotations

import math

from oumi_fireworks.online.ceilings import Ceilings, Tokens, tokens_at_most


def test_without_ceilings_nothing_waits() -> None:
    ceilings = Ceilings()
    for _ in range(1000):
        assert ceilings.wait(0.0, Tokens(10**9, 10**9)) == 0.0
        ceilings.sent(0.0, Tokens(10**9, 10**9))


def test_requests_come_back_a_minute_after_they_were_sent() -> None:
    ceilings = Ceilings(requests=2)
    ceilings.sent(0.0, Tokens())
    ceilings.sent(30.0, Tokens())
    assert 60.0 <= 31.0 + ceilings.wait(31.0, Tokens()) < 61.0
    ceilings.sent(61.0, Tokens())
    assert 90.0 <= 61.0 + ceilings.wait(61.0, Tokens()) < 91.0


def test_tokens_set_aside_hold_until_the_answer() -> None:
    ceilings = Ceilings(output_tokens=100)
    ceilings.sent(0.0, Tokens(output=80))
    assert ceilings.wait(1000.0, Tokens(output=80)) == math.inf
    ceilings.settled(1000.0, Tokens(output=80), Tokens(output=10))
    assert ceilings.wait(1000.0, Tokens(output=80)) == 0.0


def test_tokens_used_hold_for_a_minute_after_the_answer() -> None:
    ceilings = Ceilings(input_tokens=100)
    ceilings.sent(0.0, Tokens(input=80))
    ceilings.settled(30.0, Tokens(input=80), Tokens(input=60))
    assert ceilings.wait(31.0, Tokens(input=40)) == 0.0
    assert 90.0 <= 31.0 + ceilings.wait(31.0, Tokens(input=41)) < 91.0


def test_a_request_larger_than_the_ceiling_goes_alone() -> None:
    ceilings = Ceilings(input_tokens=100)
    assert ceilings.wait(0.0, Tokens(input=500)) == 0.0
    ceilings.sent(0.0, Tokens(input=500))
    assert ceilings.wait(0.0, Tokens(input=1)) == math.inf
    ceilings.settled(1.0, Tokens(input=500), Tokens(input=400))
    assert 61.0 <= 1.0 + ceilings.wait(1.0, Tokens(input=500)) < 62.0


def test_a_prompt_has_no_more_tokens_than_bytes() -> None:
    body = {"messages": [{"role": "user", "content": "日本語 and more"}], "max_tokens": 7, "n": 3}
    need = tokens_at_most(body)
    assert need.input >= len("日本語 and more".encode())
    assert need.output == 21


def test_an_image_is_not_counted_by_its_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    text = {"type": "text", "text": "What is this?"}
    assert tokens_at_most({"messages": [{"role": "user", "content": [text, image]}]}).input < 10_000


def test_tools_count_as_input() -> None:
    tool = {"type": "function", "function": {"name": "search", "description": "x" * 500}}
    plain = tokens_at_most({"messages": []})
    assert tokens_at_most({"messages": [], "tools": [tool]}).input >= plain.input + 500
