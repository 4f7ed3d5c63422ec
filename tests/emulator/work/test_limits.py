"""The service's limits, as pure functions of requests and time."""

from __future__ import annotations

from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator, Limits
from oumi_fireworks.emulator.work.limits import AdaptiveLimiter, TokenRates, ceilings_of

MODEL = "accounts/fireworks/models/toy-chat"
SMALL = TokenRates(64.8e6, 16.2e6, 648e3)
MIDDLE = TokenRates(43.2e6, 10.8e6, 432e3)
LARGE = TokenRates(21.6e6, 5.4e6, 216e3)


def generated_limit(limiter: AdaptiveLimiter, now: float) -> int:
    """The limit on generated tokens, as headers tell it, after a request that uses nothing."""
    assert limiter.admit(MODEL, 0, 0, now).allowed
    return int(limiter.finish(MODEL, 0, now)["x-ratelimit-limit-tokens-generated"])


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("toy-chat", SMALL),
        ("llama-v3p1-8b-instruct", SMALL),
        ("llama-v3p1-405b-instruct", MIDDLE),
        ("deepseek-671b", MIDDLE),
        ("qwen3-235b-a22b", SMALL),
        ("kimi-1p8t", LARGE),
        ("giant-2t", LARGE),
    ],
)
def test_ceilings_go_by_the_model_s_size(model: str, rates: TokenRates) -> None:
    assert ceilings_of(f"accounts/fireworks/models/{model}") == rates


def test_a_limit_begins_at_a_third_and_grows_with_steady_use_up_to_its_ceiling() -> None:
    limiter = AdaptiveLimiter(Limits(requests_per_minute=None))
    assert generated_limit(limiter, 0) == 216_000
    seen = []
    for minute in range(1, 6):
        for second in range(60):
            now = 60.0 * minute + second
            limiter.admit(MODEL, 0, 0, now)
            headers = limiter.finish(MODEL, 2_000, now)
        seen.append(int(headers["x-ratelimit-limit-tokens-generated"]))
    assert seen == [216_000, 324_000, 324_000, 324_000, 324_000]
    limit = 324_000
    for second in range(360, 720):
        assert limiter.admit(MODEL, 0, 0, second).allowed
        headers = limiter.finish(MODEL, int(0.9 * limit / 60), second)
        limit = int(headers["x-ratelimit-limit-tokens-generated"])
    assert int(headers["x-ratelimit-limit-tokens-generated"]) == 648_000


def test_an_idle_limit_stays() -> None:
    limiter = AdaptiveLimiter(Limits())
    assert [generated_limit(limiter, 61.0 * minute) for minute in range(4)] == [216_000] * 4


@pytest.mark.parametrize(("at_once", "limit"), [(50, 216_000), (100, 36_000)])
def test_a_steep_ramp_shrinks_the_limit_as_it_was_seen_live(at_once: int, limit: int) -> None:
    limiter = AdaptiveLimiter(Limits())
    for batch in range(200 // at_once):
        now = 0.26 * batch
        verdicts = [limiter.admit(MODEL, 1, 0, now) for _ in range(at_once)]
        for verdict in verdicts:
            assert verdict.allowed
            limiter.finish(MODEL, 1, now + 0.25)
    assert generated_limit(limiter, 1.1) == limit


def test_a_gentle_ramp_to_many_at_once_shrinks_nothing() -> None:
    limiter = AdaptiveLimiter(Limits(requests_per_minute=None))
    for step in range(10):
        for _ in range(50):
            assert limiter.admit(MODEL, 1, 0, 6.0 * step).allowed
    assert generated_limit(limiter, 61) == 216_000


def test_what_is_used_comes_back_within_a_minute() -> None:
    limiter = AdaptiveLimiter(Limits())
    limiter.admit(MODEL, 0, 0, 0.0)
    limiter.finish(MODEL, 216_000, 0.0)
    refused = limiter.admit(MODEL, 0, 0, 0.0)
    assert (refused.allowed, refused.headers["x-ratelimit-remaining-tokens-generated"]) == (
        False,
        "0",
    )
    assert limiter.admit(MODEL, 0, 0, 1.0).headers["x-ratelimit-remaining-tokens-generated"] == (
        "3600"
    )


def test_cached_tokens_count_for_the_prompt_alone() -> None:
    limiter = AdaptiveLimiter(Limits())
    headers = limiter.admit(MODEL, 1000, 900, 0.0).headers
    assert headers["x-ratelimit-remaining-tokens-prompt"] == str(21_600_000 - 1000)
    assert headers["x-ratelimit-remaining-tokens-cache-adjusted-prompt"] == str(5_400_000 - 100)


def test_a_dedicated_deployment_refuses_when_it_is_busy() -> None:
    limiter = AdaptiveLimiter(Limits(tokens=False, at_once=2))
    assert [limiter.admit(MODEL, 1, 0, 0.0).allowed for _ in range(3)] == [True, True, False]
    assert limiter.finish(MODEL, 1, 1.0) == {}
    assert limiter.admit(MODEL, 1, 0, 1.0).allowed


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests_per_minute": 0},
        {"start": 2},
        {"growth": 0.5},
        {"steep": 1.5},
        {"at_once": 0},
        {"tokens": 1},
    ],
)
def test_senseless_limits_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|are shares"):
        Limits(**wrong)


def test_limits_have_names() -> None:
    with pytest.raises(ValueError, match="use one of fireworks, dedicated, none"):
        Emulator(limits="generous")
    with Emulator(limits="fireworks") as emulator:
        assert emulator.limits == Limits()
