"""Pacing against simulated services: no network, no clock, no sleep."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oumi_fireworks.online.ceilings import Ceilings, Tokens
from oumi_fireworks.online.pacing import Leave, Pacer
from oumi_fireworks.online.signals import SILENCE, Signals
from oumi_fireworks.online.window import Window
from tests.online.simulation import (
    Bucket,
    FixedWindows,
    Limiter,
    Service,
    SlidingWindow,
    constant,
    dip,
    in_any_minute,
    simulate,
)


def new_pacer(workers: int = 1000, **ceilings: int) -> Pacer:
    return Pacer(Window(workers), Ceilings(**ceilings))


def leave_now(pacer: Pacer, now: float) -> Leave:
    assert pacer.wait(now, Tokens()) <= 0
    return pacer.leave(now, Tokens())


def leave_next(pacer: Pacer, now: float) -> tuple[float, Leave]:
    """The next leave, and when it is given."""
    now += pacer.wait(now, Tokens())
    return now, pacer.leave(now, Tokens())


# Finding the limit.


@pytest.mark.parametrize("seek", [False, True], ids=["200 workers", "own choice"])
def test_a_stated_limit_is_used_up_without_refusals(seek: bool) -> None:
    limit = constant(100.0)
    service = Service(FixedWindows(limit), states=limit, retry_after=1.0)
    outcome = simulate(3000, service, workers=1024 if seek else 200, seek=seek)
    assert outcome.answers_per_second(3000) >= 90
    assert outcome.refusals == 0


@pytest.mark.parametrize(
    "limiter",
    [
        lambda: FixedWindows(constant(100.0)),
        lambda: SlidingWindow(constant(100.0)),
        lambda: Bucket(constant(100.0)),
        lambda: Bucket(constant(100.0), burst=50.0),
    ],
    ids=["fixed windows", "sliding window", "small bucket", "bucket"],
)
@pytest.mark.parametrize("round_trip", [0.004, 0.1, 0.3])
def test_an_unstated_limit_is_found_by_refusals(
    limiter: Callable[[], Limiter], round_trip: float
) -> None:
    outcome = simulate(5000, Service(limiter(), round_trip=round_trip))
    assert outcome.answers_per_second(5000) >= 75
    assert outcome.refusals <= 0.05 * 5000


def test_a_stated_limit_that_falls_and_rises_is_followed_at_once() -> None:
    limit = dip(100.0, 100.0 / 3, 10.0, 20.0)
    service = Service(FixedWindows(limit), states=limit, retry_after=1.0)
    outcome = simulate(3000, service)
    allowed = 10 + 10 + (3000 - 1000 - 333) / 100
    assert allowed / outcome.seconds >= 0.85
    assert outcome.refusals <= 10
    assert outcome.sent_between(22.0, 25.0) >= 0.9 * 300


def test_an_unstated_limit_that_falls_and_rises_is_followed() -> None:
    limit = dip(100.0, 100.0 / 3, 20.0, 40.0)
    outcome = simulate(6000, Service(FixedWindows(limit)))
    assert outcome.sent_between(30.0, 40.0) <= 1.2 * 333
    assert outcome.sent_between(30.0, 40.0) >= 0.6 * 333
    assert outcome.sent_between(60.0, 70.0) >= 0.8 * 1000
    assert outcome.refusals <= 0.05 * 6000


def test_a_limit_by_the_minute_is_used_up_with_few_refusals() -> None:
    service = Service(FixedWindows(constant(100.0), window=60.0), round_trip=0.1)
    outcome = simulate(12_000, service)
    assert outcome.seconds <= 100
    assert outcome.refusals <= 0.02 * 12_000


def test_no_limit_means_no_pacing() -> None:
    outcome = simulate(3000, Service(sigma=0.0))
    assert outcome.seconds <= 1.1 * 3000 * 0.5 / 200
    assert outcome.most_under_way == 200


def test_a_stated_limit_is_a_floor_that_may_be_exceeded_in_time() -> None:
    """Fireworks states the minimum that it keeps, and answers more, marked as over the limit."""
    service = Service(
        FixedWindows(constant(100.0)), states=constant(1.0), over_limit=lambda _now: True
    )
    outcome = simulate(9000, service)
    assert outcome.sent_between(120.0, 130.0) >= 0.7 * 1000


def test_the_rate_is_modest_until_the_service_has_answered() -> None:
    outcome = simulate(1000, Service(latency=20.0, sigma=0.0), workers=2000)
    assert outcome.sent_between(0.0, 1.0) <= 101


def test_token_limits_become_a_rate_by_what_answers_use() -> None:
    pacer = new_pacer()
    now, leave = leave_next(pacer, 100.0)
    states = Signals(output_tokens=600.0, input_tokens=1e9)
    pacer.answered(now + 0.5, leave, states, Tokens(input=50, output=60))
    assert pacer.rate.value == pytest.approx(10.0, rel=0.05)


def test_one_answer_of_many_tells_the_limit_of_then_not_of_now() -> None:
    """Answers overtake each other: what an early request brought back late is old news."""
    pacer = new_pacer()
    now, early = leave_next(pacer, 100.0)
    now, late = leave_next(pacer, now)
    pacer.answered(101.0, late, Signals(requests=10.0), Tokens())
    pacer.answered(102.0, early, Signals(requests=90.0), Tokens())
    assert pacer.rate.value < 10.0


# Refusals.


def test_a_refusal_pauses_all() -> None:
    pacer = new_pacer()
    now, leave = leave_next(pacer, 100.0)
    pacer.refused(now, leave, SILENCE)
    assert pacer.wait(now, Tokens()) > 0


def test_retry_after_is_obeyed_in_full() -> None:
    pacer = new_pacer()
    now, leave = leave_next(pacer, 100.0)
    pacer.refused(now, leave, Signals(retry_after=45.0))
    assert pacer.wait(now, Tokens()) >= 45.0
    assert pacer.wait(now + 45.0, Tokens()) <= 0


def test_retry_after_of_a_service_in_trouble_is_obeyed_too() -> None:
    pacer = new_pacer()
    now, leave = leave_next(pacer, 100.0)
    pacer.failed(now, leave, Signals(retry_after=20.0), overloaded=True)
    assert pacer.wait(now, Tokens()) >= 20.0


def test_a_burst_of_refusals_is_one_refusal() -> None:
    one, many = new_pacer(), new_pacer()
    for pacer, refused in ((one, 1), (many, 50)):
        leaves = []
        now = 100.0
        for _ in range(60):
            now, leave = leave_next(pacer, now)
            leaves.append(leave)
        for leave in leaves[-refused:]:
            pacer.refused(now, leave, SILENCE)
    assert many.wait(now, Tokens()) == pytest.approx(one.wait(now, Tokens()))
    assert many.rate.value == pytest.approx(one.rate.value)


def test_pauses_grow_while_nothing_gets_through_and_end_with_an_answer() -> None:
    pacer = new_pacer()
    now = 100.0
    pauses = []
    for _ in range(12):
        now, leave = leave_next(pacer, now)
        pacer.refused(now, leave, SILENCE)
        pauses.append(pacer.wait(now, Tokens()))
    assert pauses == pytest.approx(sorted(pauses))
    assert pauses[-1] == pytest.approx(10.0)
    assert pacer.refused_since is not None
    now, leave = leave_next(pacer, now)
    pacer.answered(now + 0.5, leave, SILENCE, Tokens())
    assert pacer.refused_since is None
    assert pacer.wait(now + 0.5, Tokens()) < 0.2


def test_refusals_of_everything_leave_a_rate_to_come_back_to() -> None:
    pacer = new_pacer()
    now = 100.0
    for _ in range(60):
        now, leave = leave_next(pacer, now)
        pacer.refused(now, leave, SILENCE)
    for _ in range(3):
        now, leave = leave_next(pacer, now)
        pacer.answered(now + 0.1, leave, SILENCE, Tokens())
    assert pacer.rate.value > 10.0


def test_slow_answers_amid_refusals_are_not_taken_for_none() -> None:
    """Answers that take longer than the time between two refusals still count as let through."""
    service = Service(FixedWindows(constant(20.0)), latency=30.0, sigma=0.2)
    outcome = simulate(2000, service, workers=1000)
    assert outcome.sent_between(60.0, 90.0) >= 0.7 * 20 * 30


# The window.


def test_no_more_than_the_workers_are_under_way() -> None:
    assert simulate(500, Service(), workers=7).most_under_way == 7


def test_left_alone_the_window_grows_to_what_a_fast_service_takes() -> None:
    outcome = simulate(20_000, Service(latency=1.0, sigma=0.3), workers=1024, seek=True)
    assert outcome.most_under_way >= 900


def test_left_alone_the_window_does_not_flood_a_service_that_is_busy() -> None:
    outcome = simulate(
        20_000, Service(latency=0.2, sigma=0.3, capacity=150.0), workers=1024, seek=True
    )
    assert outcome.most_under_way <= 400
    assert outcome.answers_per_second(20_000) >= 0.9 * 150


def test_the_window_makes_room_for_what_a_stated_rate_brings_in() -> None:
    limit = constant(100.0)
    service = Service(FixedWindows(limit), states=limit, latency=4.0, sigma=0.3)
    outcome = simulate(6000, service, workers=1024, seek=True)
    assert outcome.answers_per_second(6000) >= 80


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
    service = Service(FixedWindows(constant(limited_to)) if limited_to else None, latency=latency)
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
    rows = [(Tokens(used + spare, used + spare), Tokens(used, used)) for used, spare in sizes]
    outcome = simulate(
        len(rows),
        Service(latency=latency),
        ceilings=Ceilings(input_tokens=limit, output_tokens=limit),
        tokens=rows.__getitem__,
        seed=seed,
    )
    # A token may be counted by the service from sending to answering: the strictest is sending.
    used = [rows[index][1].output for index in range(len(rows))]
    if rows and max(need.output for need, _ in rows) <= limit:
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
    now, leave = leave_next(pacer, 100.0)
    assert pacer.wait(now + 1000.0, Tokens()) == math.inf
    pacer.withdrawn(now, leave)
    leave_now(pacer, now + 1000.0)


def test_more_room_is_left_below_a_stated_limit_where_the_usual_is_too_little() -> None:
    """The service counts a few more requests than this process sends, as with a second user."""
    limit, others = constant(40.0), constant(38.0)
    service = Service(FixedWindows(others), states=limit, retry_after=1.0)
    outcome = simulate(4000, service)
    assert outcome.answers_per_second(4000) >= 0.8 * 38
    assert outcome.refusals <= 20


def test_late_refusals_of_the_opening_burst_do_not_bring_the_rate_to_nothing() -> None:
    pacer = new_pacer(workers=200)
    now, first = leave_next(pacer, 100.0)
    now += 0.5
    pacer.answered(now, first, SILENCE, Tokens())
    burst = [leave_now(pacer, now) for _ in range(200)]
    pacer.refused(now + 0.1, burst[0], SILENCE)
    for _ in range(3):
        now, leave = leave_next(pacer, now + 1.0)
        pacer.answered(now, leave, SILENCE, Tokens())
    for leave in burst[1:100]:
        pacer.refused(now, leave, SILENCE)
    assert pacer.rate.value > 50


def test_a_rate_that_nobody_uses_up_does_not_grow() -> None:
    pacer = new_pacer()
    now, leave = leave_next(pacer, 100.0)
    pacer.answered(now + 0.1, leave, Signals(requests=50.0), Tokens())
    for _ in range(300):
        now, leave = leave_next(pacer, now + 1.0)
        pacer.answered(now + 0.1, leave, SILENCE, Tokens())
    assert pacer.rate.value <= 50.0


def test_a_rate_does_not_grow_while_nothing_gets_through() -> None:
    pacer = new_pacer()
    now, leave = leave_next(pacer, 100.0)
    pacer.answered(now + 0.1, leave, SILENCE, Tokens())
    now += 1.0
    for _ in range(30):
        now, leave = leave_next(pacer, now)
        pacer.refused(now, leave, SILENCE)
    assert pacer.rate.value <= 10.0
