"""When everybody waits, and when single probes go."""

from __future__ import annotations

import pytest

from oumi_fireworks.online.standstill import RATE_LIMIT, STARTING, Cause, Standstill

GRACE = 0.25


def probes(standstill: Standstill, now: float, count: int, cause: Cause) -> list[float]:
    """Let probes fail; return the seconds before each."""
    waits = []
    for _ in range(count):
        wait = standstill.wait(now, GRACE)
        waits.append(wait)
        now += wait
        assert standstill.sent(now)
        standstill.probe_failed(now, cause)
    return waits


def test_nobody_waits_for_nothing() -> None:
    standstill = Standstill()
    assert standstill.wait(0.0, GRACE) == 0.0
    assert not standstill.sent(0.0)


def test_waits_between_probes_grow_to_ten_seconds() -> None:
    standstill = Standstill()
    standstill.begin(0.0, RATE_LIMIT)
    waits = probes(standstill, 0.0, 16, RATE_LIMIT)
    assert waits == pytest.approx([*(0.1 * 1.5**k for k in range(12)), *[10.0] * 4])


def test_a_deployment_that_starts_is_asked_as_the_docs_advise() -> None:
    standstill = Standstill()
    standstill.begin(0.0, STARTING)
    waits = probes(standstill, 0.0, 9, STARTING)
    assert waits == pytest.approx([5 * 1.5**k for k in range(7)] + [60.0] * 2)


def test_one_probe_goes_and_the_others_wait_for_it() -> None:
    standstill = Standstill()
    standstill.begin(0.0, RATE_LIMIT)
    assert standstill.sent(0.1)
    assert standstill.wait(0.2, GRACE) > 0
    standstill.end(0.25)
    assert standstill.wait(0.25, GRACE) == 0.0
    assert not standstill.sent(0.25)


def test_a_probe_that_is_not_refused_need_not_be_waited_for() -> None:
    """An answer may take minutes; a refusal comes at once."""
    standstill = Standstill()
    standstill.begin(0.0, RATE_LIMIT)
    standstill.sent(0.1)
    assert standstill.wait(0.1 + 0.5, GRACE) == 0.0
    assert standstill.cause is None


def test_a_probe_that_is_refused_late_lets_everybody_wait_again() -> None:
    standstill = Standstill()
    standstill.begin(0.0, RATE_LIMIT)
    standstill.sent(0.1)
    assert standstill.wait(1.0, GRACE) == 0.0
    standstill.probe_failed(1.5, RATE_LIMIT)
    assert standstill.wait(1.5, GRACE) > 0


def test_a_probe_that_is_withdrawn_makes_room_for_the_next() -> None:
    standstill = Standstill()
    standstill.begin(0.0, RATE_LIMIT)
    standstill.sent(0.1)
    standstill.probe_withdrawn(0.2)
    assert standstill.wait(0.2, GRACE) == 0.0
    assert standstill.sent(0.2)


def test_advice_is_tested_by_probes_and_obeyed_if_they_fail() -> None:
    standstill = Standstill()
    standstill.begin(0.0, RATE_LIMIT, advised=30.0)
    now, waits = 0.0, []
    while now < 29.9:
        waits.append(standstill.wait(now, GRACE))
        now += waits[-1]
        standstill.sent(now)
        if now < 29.9:
            standstill.probe_failed(now, RATE_LIMIT)
    assert now == pytest.approx(30.0)
    assert len(waits) <= 12
    standstill.end(now + 0.1)
    assert standstill.heeds


def test_advice_that_was_exaggerated_is_no_longer_heeded() -> None:
    standstill = Standstill()
    standstill.begin(0.0, RATE_LIMIT, advised=60.0)
    now = standstill.wait(0.0, GRACE)
    assert now < 1.0
    standstill.sent(now)
    standstill.end(now + 0.1)
    assert not standstill.heeds
