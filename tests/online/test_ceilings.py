"""The user's ceilings, decision by decision; test_pacing.py runs them in traffic."""

from __future__ import annotations

import math

from oumi_fireworks.online.ceilings import Ceilings
from oumi_fireworks.online.tokens import Tokens


def test_without_ceilings_nothing_waits() -> None:
    ceilings = Ceilings()
    for _ in range(1000):
        assert ceilings.wait(0.0, Tokens(10**9, 10**9, 10**9)) == 0.0
        ceilings.sent(0.0, Tokens(10**9, 10**9, 10**9))


def test_requests_come_back_a_minute_after_they_were_sent() -> None:
    ceilings = Ceilings(requests=2)
    ceilings.sent(0.0, Tokens())
    ceilings.sent(30.0, Tokens())
    assert 60.0 <= 31.0 + ceilings.wait(31.0, Tokens()) < 61.0
    ceilings.sent(61.0, Tokens())
    assert 90.0 <= 61.0 + ceilings.wait(61.0, Tokens()) < 91.0


def test_tokens_set_aside_hold_until_the_answer() -> None:
    ceilings = Ceilings(output_tokens=100)
    ceilings.sent(0.0, Tokens(generated=80))
    assert ceilings.wait(1000.0, Tokens(generated=80)) == math.inf
    ceilings.settled(1000.0, Tokens(generated=80), Tokens(generated=10))
    assert ceilings.wait(1000.0, Tokens(generated=80)) == 0.0


def test_tokens_used_hold_for_a_minute_after_the_answer() -> None:
    ceilings = Ceilings(input_tokens=100)
    ceilings.sent(0.0, Tokens(prompt=80))
    ceilings.settled(30.0, Tokens(prompt=80), Tokens(prompt=60))
    assert ceilings.wait(31.0, Tokens(prompt=40)) == 0.0
    assert 90.0 <= 31.0 + ceilings.wait(31.0, Tokens(prompt=41)) < 91.0


def test_a_request_larger_than_the_ceiling_goes_alone() -> None:
    ceilings = Ceilings(input_tokens=100)
    assert ceilings.wait(0.0, Tokens(prompt=500)) == 0.0
    ceilings.sent(0.0, Tokens(prompt=500))
    assert ceilings.wait(0.0, Tokens(prompt=1)) == math.inf
    ceilings.settled(1.0, Tokens(prompt=500), Tokens(prompt=400))
    assert 61.0 <= 1.0 + ceilings.wait(1.0, Tokens(prompt=500)) < 62.0
