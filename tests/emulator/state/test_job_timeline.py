"""A job's life: which state at which age, and how much of its rows is due."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.emulator.state.job_timeline import (
    DAY,
    ENDED,
    NEVER,
    JobTimeline,
    Pace,
    position,
)

PACE = Pace(validating=10, pending=20, creating=30, running=40, per_row=0, writing=50, stopping=5)
DONE = JobTimeline(PACE, rows=8, checked=0, worked=0)


@pytest.mark.parametrize(
    ("elapsed", "state"),
    [
        (0, "VALIDATING"),
        (10, "PENDING"),
        (30, "CREATING"),
        (60, "RUNNING"),
        (99, "RUNNING"),
        (100, "WRITING_RESULTS"),
        (150, "COMPLETED"),
        (10 * DAY, "COMPLETED"),
    ],
)
def test_it_goes_through_its_states_in_order(elapsed: float, state: str) -> None:
    assert position(DONE, elapsed).state == state


def test_it_notes_when_things_happened() -> None:
    end = position(DONE, 1000)
    assert (end.checked, end.started, end.ended, end.due) == (10, 60, 150, 1)


@pytest.mark.parametrize(("elapsed", "due"), [(50, 0), (60, 0), (70, 0.25), (90, 0.75), (120, 1)])
def test_rows_become_due_while_it_runs(elapsed: float, due: float) -> None:
    assert position(DONE, elapsed).due == due


def test_each_row_takes_time() -> None:
    slow = replace(DONE, pace=replace(PACE, per_row=10))
    assert position(slow, 60 + 40 + 79).state == "RUNNING"
    assert position(slow, 60 + 40 + 80).state == "WRITING_RESULTS"


def test_it_waits_for_the_check_of_its_input() -> None:
    assert position(replace(DONE, checked=None), 500).state == "VALIDATING"
    late = position(replace(DONE, checked=500), 501)
    assert (late.state, late.checked) == ("PENDING", 500)


def test_it_waits_for_its_rows_to_be_really_done() -> None:
    assert position(replace(DONE, worked=None), 5000).state == "RUNNING"
    assert position(replace(DONE, worked=400), 449).state == "WRITING_RESULTS"
    assert position(replace(DONE, worked=400), 450).state == "COMPLETED"


def test_bad_input_fails_it_at_validation() -> None:
    failed = position(replace(DONE, refused=True), 10)
    assert (failed.state, failed.ended, failed.started) == ("FAILED", 10, None)


def test_too_much_output_stops_it_early() -> None:
    assert position(replace(DONE, overflowed=True), 150).state == "EARLY_STOPPED"


def test_after_a_day_it_expires_with_what_was_due() -> None:
    slow = replace(DONE, pace=replace(PACE, running=2 * DAY))
    assert position(slow, DAY - 1).state == "RUNNING"
    expired = position(slow, DAY)
    assert (expired.state, expired.ended) == ("EXPIRED", DAY)
    assert expired.due == pytest.approx(0.5, abs=0.01)


def test_one_that_never_gets_capacity_waits_until_it_expires() -> None:
    stuck = replace(DONE, pace=replace(PACE, pending=NEVER))
    assert position(stuck, DAY - 1).state == "PENDING"
    expired = position(stuck, DAY + 1)
    assert (expired.state, expired.due, expired.started) == ("EXPIRED", 0, None)


def test_cancelling_keeps_what_was_due() -> None:
    cancelled = replace(DONE, cancelled=70)
    assert position(cancelled, 69).state == "RUNNING"
    assert position(cancelled, 74).state == "CANCELLING"
    end = position(cancelled, 75)
    assert (end.state, end.due, end.ended) == ("CANCELLED", 0.25, 75)


def test_deleting_shows_for_a_while() -> None:
    deleted = replace(DONE, deleted=70)
    assert position(deleted, 70).state == "DELETING_CLEANING_UP"
    assert position(deleted, 75).state == "DELETED"


def test_deleting_goes_before_all_else() -> None:
    assert position(replace(DONE, deleted=70, forced="PAUSED"), 71).state == "DELETING_CLEANING_UP"
    assert position(replace(DONE, deleted=72, cancelled=70), 73).state == "DELETING_CLEANING_UP"


def test_a_state_given_by_hand_stays() -> None:
    paused = replace(DONE, forced="PAUSED", forced_at=70)
    assert position(paused, 10_000).state == "PAUSED"
    assert position(paused, 10_000).due == 0.25
    assert position(replace(paused, forced="EXPIRED"), 10_000).ended == 70


COURSES = st.builds(
    JobTimeline,
    pace=st.builds(Pace, running=st.floats(0, 3 * DAY), per_row=st.floats(0, 10)),
    rows=st.integers(0, 10_000),
    checked=st.floats(0, 100),
    worked=st.floats(0, 2 * DAY),
    refused=st.booleans(),
    overflowed=st.booleans(),
    cancelled=st.none() | st.floats(0, 2 * DAY),
    deleted=st.none() | st.floats(0, 2 * DAY),
)
AGES = st.floats(0, 5 * DAY)


@given(COURSES, AGES, AGES)
def test_what_has_ended_stays_ended_unless_it_is_deleted(
    timeline: JobTimeline, one: float, other: float
) -> None:
    early, late = sorted((one, other))
    before, after = position(timeline, early), position(timeline, late)
    if before.state in ENDED and (timeline.deleted is None or late < timeline.deleted):
        assert after.state == before.state


@given(COURSES, AGES, AGES)
def test_progress_never_falls(timeline: JobTimeline, one: float, other: float) -> None:
    early, late = sorted((one, other))
    if timeline.cancelled is None and timeline.deleted is None:
        assert position(timeline, early).due <= position(timeline, late).due
