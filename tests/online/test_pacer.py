"""Pacing against simulated services: no network, no clock, no sleep."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oumi_fireworks.online.ceilings import Ceilings
from oumi_fireworks.online.pacer import Pacer, Permit
from oumi_fireworks.online.rate_headers import SILENCE, Kind, RateHeaders, StatedLimit
from oumi_fireworks.online.tokens import NO_TOKENS, Tokens
from oumi_fireworks.online.window import Window
from tests.online.simulation import (
    AdaptiveTokens,
    Advising,
    AtRandom,
    Closed,
    FixedWindows,
    Limiter,
    RequestBucket,
    Service,
    SlidingWindow,
    Stating,
    constant,
    dip,
    in_any_minute,
    simulate,
)


def new_pacer(workers: int = 1000, **ceilings: int) -> Pacer:
    return Pacer(Window(workers), Ceilings(**ceilings))


def leave_next(pacer: Pacer, now: float) -> tuple[float, Permit]:
    """Return the next permit, and when it is given."""
    now += pacer.wait(now, 100, NO_TOKENS)
    return now, pacer.leave(now, 100, NO_TOKENS)


# Limits on tokens, stated.


@pytest.mark.parametrize("doubles_in", [15.0, 30.0])
@pytest.mark.parametrize("latency", [0.5, 3.0])
def test_adaptive_token_limits_are_used_up_and_never_shrink(
    doubles_in: float, latency: float
) -> None:
    limiter = AdaptiveTokens(doubles_in=doubles_in)
    outcome = simulate(3000, Service(limiter, latency=latency, sigma=0.2))
    assert 60 * 3000 / limiter.granted >= 0.9
    assert limiter.shrunk == 0
    assert outcome.refusals <= 0.02 * 3000
    assert limiter.limit == 216_000


def test_a_limit_that_another_client_shrinks_is_followed_at_once() -> None:
    limiter = AdaptiveTokens(cut_at=30.0)
    outcome = simulate(3000, Service(limiter, sigma=0.2))
    assert 60 * 3000 / limiter.granted >= 0.9
    assert limiter.shrunk == 0
    assert outcome.refusals <= 0.02 * 3000


def test_answers_longer_than_was_thought_cost_few_refusals() -> None:
    limiter = AdaptiveTokens(most=36_000.0)

    def tokens(row: int) -> tuple[Tokens, Tokens]:
        return NO_TOKENS, Tokens(20, 20, 60 if row < 1000 else 300)

    outcome = simulate(1500, Service(limiter, sigma=0.2), tokens=tokens)
    assert outcome.refusals <= 30
    assert (1000 * 60 + 500 * 300) / limiter.granted >= 0.9


def test_it_begins_small() -> None:
    outcome = simulate(500, Service(AdaptiveTokens(limit=216_000.0)))
    assert outcome.sent_between(0.0, 1.0) <= 50
    assert outcome.sent_between(0.0, 5.0) <= 150


def test_after_a_pause_nobody_bursts() -> None:
    limiter = AdaptiveTokens(limit=216_000.0)
    pacer = simulate(1000, Service(limiter)).pacer
    now, sent = 1000.0, 0
    while now < 1001.0:
        now, permit = leave_next(pacer, now)
        pacer.answered(now, permit, limiter.headers(now, refused=False), Tokens(20, 20, 60))
        sent += 1
    assert sent <= 20


# Limits on requests, stated or not.


@pytest.mark.parametrize("seek", [False, True], ids=["200 workers", "own choice"])
def test_a_stated_limit_is_used_up_with_few_refusals(seek: bool) -> None:
    limit = constant(100.0)
    service = Service(Stating(FixedWindows(limit), limit))
    outcome = simulate(3000, service, workers=1024 if seek else 200, seek=seek)
    assert outcome.answers_per_second() >= 88
    assert outcome.refusals <= 0.02 * 3000


LIMITERS: dict[str, Callable[[float], Limiter]] = {
    "fixed windows": lambda limit: FixedWindows(constant(limit)),
    "sliding window": lambda limit: SlidingWindow(constant(limit)),
    "small bucket": lambda limit: RequestBucket(constant(limit)),
    "bucket": lambda limit: RequestBucket(constant(limit), burst=50.0),
}


@pytest.mark.parametrize("kind", LIMITERS)
@pytest.mark.parametrize("round_trip", [0.004, 0.1])
def test_an_unstated_limit_is_found_by_refusals(kind: str, round_trip: float) -> None:
    outcome = simulate(4000, Service(LIMITERS[kind](100.0), round_trip=round_trip))
    assert outcome.answers_per_second() >= 80
    assert outcome.refusals <= (0.03 if round_trip < 0.1 else 0.1) * 4000


@pytest.mark.parametrize("kind", LIMITERS)
@pytest.mark.parametrize("limit", [100.0, 20.0])
def test_exaggerated_advice_costs_little(kind: str, limit: float) -> None:
    rows = int(40 * limit)
    outcome = simulate(rows, Service(Advising(LIMITERS[kind](limit), 60.0), sigma=0.2))
    assert rows / outcome.seconds >= 0.85 * limit
    assert outcome.refusals <= 0.07 * rows


@pytest.mark.parametrize("advised", [None, 1.0, 60.0], ids=["silent", "1 s", "60 s"])
@pytest.mark.parametrize(("share", "least"), [(0.02, 0.8), (0.1, 0.6)])
def test_refusals_whatever_the_rate_do_not_bring_it_down(
    share: float, least: float, advised: float | None
) -> None:
    limiter: Limiter = AtRandom(share)
    if advised is not None:
        limiter = Advising(limiter, advised)
    free = simulate(10_000, Service(latency=0.1))
    outcome = simulate(10_000, Service(limiter, latency=0.1), until=free.seconds + 20)
    late = outcome.answered_between(outcome.seconds - 4, outcome.seconds - 1) / 3
    assert late >= least * free.answered_between(2, 5) / 3


def test_an_unstated_limit_that_falls_and_rises_is_followed() -> None:
    limit = dip(100.0, 100.0 / 3, 20.0, 40.0)
    outcome = simulate(6000, Service(FixedWindows(limit)))
    assert outcome.sent_between(30.0, 40.0) <= 1.2 * 333
    assert outcome.sent_between(30.0, 40.0) >= 0.6 * 333
    assert outcome.sent_between(75.0, 80.0) >= 0.7 * 500
    assert outcome.refusals <= 0.05 * 6000


def test_a_limit_by_the_minute_is_used_up_with_few_refusals() -> None:
    service = Service(FixedWindows(constant(100.0), window=60.0), round_trip=0.1)
    outcome = simulate(12_000, service)
    assert outcome.seconds <= 100
    assert outcome.refusals <= 0.02 * 12_000


def test_slow_answers_amid_refusals_are_not_taken_for_none() -> None:
    """Answers that take longer than the time between two refusals still count as let through."""
    service = Service(FixedWindows(constant(20.0)), latency=30.0, sigma=0.2)
    outcome = simulate(2000, service, workers=1000)
    assert outcome.sent_between(60.0, 90.0) >= 0.7 * 20 * 30


# When nothing gets through.


def test_minutes_of_refusals_cost_few_requests_and_end_with_the_limit() -> None:
    outcome = simulate(1000, Service(Closed(300.0)))
    assert outcome.seconds <= 320
    assert outcome.refusals <= 80


def test_after_refusals_of_everything_the_rate_is_what_it_was() -> None:
    outcome = simulate(6000, Service(Closed(40.0, begin=5.0)))
    assert outcome.seconds <= 65


def test_a_single_refusal_pauses_nobody_where_others_get_through() -> None:
    pacer = new_pacer()
    now, first = leave_next(pacer, 100.0)
    pacer.answered(now + 0.1, first, SILENCE, NO_TOKENS)
    now, refused = leave_next(pacer, now + 0.1)
    now, _ = leave_next(pacer, now)
    pacer.refused(now, refused, SILENCE)
    assert pacer.standstill.cause is None


def test_a_refusal_of_the_only_request_pauses() -> None:
    pacer = new_pacer()
    now, permit = leave_next(pacer, 100.0)
    pacer.refused(now, permit, SILENCE)
    assert pacer.wait(now, 100, NO_TOKENS) > 0.05


def test_retry_after_of_a_service_in_trouble_is_obeyed_and_tested() -> None:
    pacer = new_pacer()
    now, permit = leave_next(pacer, 100.0)
    pacer.failed(now, permit, RateHeaders(retry_after=20.0), overloaded=True)
    probes = 0
    while now < 119.0:
        now, permit = leave_next(pacer, now)
        assert permit.is_probe
        probes += 1
        pacer.failed(now + 0.01, permit, SILENCE, overloaded=True)
    assert 4 <= probes <= 10


def test_a_deployment_that_starts_is_asked_by_one_request_at_a_time() -> None:
    pacer = new_pacer()
    now, permit = leave_next(pacer, 100.0)
    pacer.starting(now, permit)
    began, asked = now, 0
    while now - began < 600:
        now, permit = leave_next(pacer, now)
        assert pacer.under_way == 1
        pacer.starting(now + 0.1, permit)
        asked += 1
    assert 10 <= asked <= 16
    now, permit = leave_next(pacer, now)
    pacer.answered(now + 0.1, permit, SILENCE, NO_TOKENS)
    assert pacer.wait(now + 0.1, 100, NO_TOKENS) < 0.1


# The window.


def test_no_limit_means_no_pacing() -> None:
    outcome = simulate(3000, Service(sigma=0.5))
    assert outcome.seconds <= 11.0
    assert outcome.most_under_way == 200
    assert outcome.answered_between(1.0, 6.0) >= 0.93 * 5 * 200 / 0.566


def test_no_more_than_the_workers_are_under_way() -> None:
    assert simulate(500, Service(), workers=7).most_under_way == 7


@pytest.mark.parametrize("limiter", [None, AdaptiveTokens(limit=216_000.0)], ids=["none", "tokens"])
def test_the_workers_are_under_way_as_soon_as_the_ramp_allows(limiter: Limiter | None) -> None:
    service = Service(latency=10.0, sigma=0.1) if limiter is None else Service(limiter, 10.0, 0.1)
    outcome = simulate(1000, service, workers=200)
    assert outcome.most_under_way == 200
    assert outcome.answered_between(30.0, 50.0) >= 0.9 * 20 * 200 / 10


def test_left_alone_the_window_grows_to_what_a_fast_service_takes() -> None:
    outcome = simulate(20_000, Service(latency=1.0, sigma=0.3), workers=1024, seek=True)
    assert outcome.most_under_way >= 900


def test_left_alone_the_window_does_not_flood_a_service_that_is_busy() -> None:
    outcome = simulate(
        20_000, Service(latency=0.2, sigma=0.3, capacity=150.0), workers=1024, seek=True
    )
    assert outcome.most_under_way <= 400
    assert outcome.answers_per_second() >= 0.9 * 150


def test_the_window_makes_room_for_what_a_stated_rate_brings_in() -> None:
    limit = constant(100.0)
    service = Service(Stating(FixedWindows(limit), limit), latency=4.0, sigma=0.3)
    outcome = simulate(6000, service, workers=1024, seek=True)
    assert outcome.answers_per_second() >= 80


# The user's ceilings.


@settings(max_examples=25, deadline=None)
@given(
    limit=st.integers(1, 400),
    latency=st.floats(0.001, 100.0),
    workers=st.integers(1, 500),
    limited_to=st.none() | st.floats(0.5, 200.0),
    seed=st.integers(0, 1000),
)
def test_the_ceiling_on_requests_is_never_crossed(
    limit: int, latency: float, workers: int, limited_to: float | None, seed: int
) -> None:
    service = Service(latency=latency)
    if limited_to is not None:
        service = Service(FixedWindows(constant(limited_to)), latency=latency)
    outcome = simulate(
        min(800, 4 * limit), service, workers=workers, ceilings=Ceilings(limit), seed=seed
    )
    assert max(in_any_minute(outcome.sent_at)) <= limit


@settings(max_examples=25, deadline=None)
@given(
    limit=st.integers(500, 20_000),
    latency=st.floats(0.001, 30.0),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_the_ceilings_on_tokens_are_never_crossed(
    limit: int, latency: float, seed: int, data: st.DataObject
) -> None:
    sizes = data.draw(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 500)), max_size=60))
    rows = [
        (Tokens(used + spare, used + spare, used + spare), Tokens(used, used, used))
        for used, spare in sizes
    ]
    outcome = simulate(
        len(rows),
        Service(latency=latency),
        ceilings=Ceilings(input_tokens=limit, output_tokens=limit),
        tokens=rows.__getitem__,
        seed=seed,
    )
    # A token may be counted by the service from sending to answering: the strictest is sending.
    used = [int(rows[index][1].generated) for index in range(len(rows))]
    if rows and max(most.generated for most, _ in rows) <= limit:
        assert max(in_any_minute(outcome.sent_at, used)) <= limit


def test_ceilings_let_through_all_that_they_allow() -> None:
    outcome = simulate(300, Service(latency=0.01), ceilings=Ceilings(requests=100))
    assert 120 <= outcome.seconds <= 122


def test_ceilings_hold_across_refusals() -> None:
    service = Service(FixedWindows(constant(2.0)))
    outcome = simulate(200, service, ceilings=Ceilings(requests=90))
    assert outcome.refusals > 0
    assert max(in_any_minute(outcome.sent_at)) <= 90


def test_only_an_answer_can_make_room_when_the_window_is_full() -> None:
    pacer = new_pacer(workers=1)
    now, permit = leave_next(pacer, 100.0)
    assert pacer.wait(now + 1000.0, 100, NO_TOKENS) == math.inf
    pacer.withdrawn(now, permit)
    assert pacer.wait(now + 1000.0, 100, NO_TOKENS) == 0


def test_where_tokens_are_stated_requests_keep_to_what_the_account_has() -> None:
    plenty = tuple(StatedLimit(kind, 1e12, 1e12) for kind in Kind if kind is not Kind.REQUESTS)

    class Plenty(FixedWindows):
        def headers(self, now: float, *, refused: bool) -> RateHeaders:
            return RateHeaders(plenty)

    outcome = simulate(4000, Service(Plenty(constant(100.0))))
    assert outcome.refusals <= 10
    assert outcome.sent_between(25.0, 35.0) >= 0.9 * 1000
