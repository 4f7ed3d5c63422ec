"""The clock runs on its own, moves forward when told, and lets jobs live faster."""

from __future__ import annotations

import time

import pytest

from oumi_fireworks.emulator.state.clock import Clock, timestamp


def test_it_tells_the_time() -> None:
    before = time.time()
    assert before <= Clock().now() <= time.time()


def test_advancing_moves_timestamps_and_lives_alike() -> None:
    clock = Clock(speed=0)
    born, before = clock.moment(), clock.now()
    clock.advance(90)
    assert clock.now() - before >= 90
    assert clock.elapsed(born) == pytest.approx(90)


def test_a_clock_that_stands_still_ages_nothing() -> None:
    clock = Clock(speed=0)
    born = clock.moment()
    assert clock.elapsed(born) == 0


def test_lives_run_at_their_speed() -> None:
    clock = Clock(speed=1_000_000)
    born = clock.moment()
    real = time.perf_counter()
    while time.perf_counter() - real < 0.001:
        pass
    assert clock.elapsed(born) >= 1000


def test_it_never_goes_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        Clock().advance(-1)


def test_a_negative_speed_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Clock(speed=-1)


def test_the_total_advance_is_reported_and_taken_up_again() -> None:
    totals: list[float] = []
    clock = Clock(speed=0, after_advance=totals.append)
    clock.advance(3)
    clock.advance(4)
    assert totals == [3, 7]
    assert Clock(speed=0, advanced=7).now() - time.time() == pytest.approx(7, abs=0.1)


def test_an_age_is_dated_by_the_speed() -> None:
    clock = Clock(speed=10)
    born = clock.moment()
    assert clock.when(born, 20) == pytest.approx((born.wall + 2) * 1e9)


def test_an_age_reached_by_advancing_is_dated_by_the_advance() -> None:
    clock = Clock(speed=0)
    born = clock.moment()
    clock.advance(50)
    assert clock.when(born, 20) == pytest.approx((born.wall + 20) * 1e9)
    assert clock.when(born, 20) <= clock.now_ns()


def test_timestamps_carry_nanoseconds() -> None:
    assert timestamp(1_788_061_736_029_803_417) == "2026-08-30T03:48:56.029803417Z"
    assert timestamp(0) == "1970-01-01T00:00:00.000000000Z"
