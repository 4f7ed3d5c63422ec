"""What a run does next, as a table: no network, no disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from oumi_fireworks.api import Consistency, Job, Progress
from oumi_fireworks.batch import RowCounts, ShardLimits, Snapshot, Stage
from oumi_fireworks.batch.decide import (
    Arrival,
    Findings,
    Rerun,
    Retries,
    Step,
    counts_are_final,
    is_conclusive,
    next_step,
    rows_to_run,
    seconds_left,
    should_fetch_again,
)
from oumi_fireworks.batch.manifest import Attempt, Manifest
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.snapshot import GONE

ALL = RowCounts(answered=3)
SOME = RowCounts(answered=2, failed=1)
MISSING = RowCounts(answered=2, missing=1)
REJECTED = RowCounts(answered=2, rejected=1)


def ended(state: str = "COMPLETED", *others: str) -> Snapshot:
    states = (state, *others)
    return Snapshot(
        "b", tuple(Job(f"j{n}", "", f"JOB_STATE_{each}") for n, each in enumerate(states))
    )


def manifest(
    stage: Stage, attempts: int = 1, round_begins_at: int = 0, refusal: str = ""
) -> Manifest:
    jobs = (PlannedJob("j0", 3), PlannedJob("j1", 3, refusal=refusal))
    return Manifest(
        "account", "url", {}, 3, ShardLimits(),
        attempts=tuple(Attempt(f"b{n}", jobs, stage) for n in range(attempts)),
        round_begins_at=round_begins_at,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "is_ended", "findings", "step"),
    [
        (Stage.PLANNED, False, None, Step.SUBMIT),
        (Stage.SUBMITTED, False, None, Step.WAIT),
        (Stage.SUBMITTED, True, None, Step.FETCH),
        (Stage.SUBMITTED, True, Findings(ALL, ended(), False), Step.DELIVER),
        (Stage.SUBMITTED, True, Findings(SOME, ended(), False), Step.RETRY),
        (Stage.SUBMITTED, True, Findings(SOME, ended(), True), Step.STOP),
        (Stage.SUBMITTED, True, Findings(ALL, ended(), True), Step.STOP),
        (Stage.COLLECTED, False, None, Step.FETCH),
        (Stage.COLLECTED, False, Findings(SOME, ended(), False), Step.RETRY),
        (Stage.COLLECTED, False, Findings(SOME, ended(), True), Step.STOP),
        (Stage.ENDED, False, None, Step.FETCH),
        (Stage.ENDED, False, Findings(SOME, ended(), False), Step.DELIVER),
        (Stage.ENDED, False, Findings(SOME, ended(), True), Step.STOP),
        (Stage.DELIVERING, False, Findings(SOME, ended(), False), Step.DELIVER),
        (Stage.DELIVERED, False, Findings(SOME, ended(), False), Step.DELIVER),
    ],
)
def test_the_step_that_follows_a_stage(
    stage: Stage, is_ended: bool, findings: Findings | None, step: Step
) -> None:
    seen = ended() if is_ended else None
    assert next_step(manifest(stage), Retries(1), seen, findings) is step


@pytest.mark.parametrize(
    ("stage", "is_ended", "findings", "step"),
    [
        # What waits for the budget comes before a further attempt at what has failed.
        (Stage.PLANNED, False, None, Step.SUBMIT),
        (Stage.SUBMITTED, False, None, Step.WAIT),
        (Stage.SUBMITTED, True, None, Step.FETCH),
        (Stage.SUBMITTED, True, Findings(SOME, ended(), False, fits=True), Step.RELEASE),
        (Stage.SUBMITTED, True, Findings(SOME, ended(), False), Step.HOLD),
        (Stage.SUBMITTED, True, Findings(SOME, ended(), True, fits=True), Step.STOP),
        (Stage.SUBMITTED, True, Findings(SOME, ended("EXPIRED"), False, fits=True), Step.RELEASE),
        (Stage.SUBMITTED, True, Findings(SOME, ended("FAILED"), False, fits=True), Step.RELEASE),
        # Somebody has stopped it: nothing further begins by itself.
        (Stage.SUBMITTED, True, Findings(SOME, ended("CANCELLED"), False, fits=True), Step.DELIVER),
        (Stage.COLLECTED, False, None, Step.FETCH),
        (Stage.COLLECTED, False, Findings(SOME, ended(), False, fits=True), Step.RELEASE),
        (Stage.COLLECTED, False, Findings(SOME, ended(), False), Step.HOLD),
        (Stage.ENDED, False, Findings(SOME, ended(), False, fits=True), Step.DELIVER),
    ],
)
def test_the_step_of_a_run_whose_rows_wait_for_the_budget(
    stage: Stage, is_ended: bool, findings: Findings | None, step: Step
) -> None:
    waiting = replace(manifest(stage), pending=(PlannedJob("", 3, shard=2),))
    seen = ended() if is_ended else None
    assert next_step(waiting, Retries(1), seen, findings) is step


@pytest.mark.parametrize("has_pending", [False, True])
@pytest.mark.parametrize(
    ("stage", "is_ended", "findings", "step"),
    [
        (Stage.PLANNED, False, None, Step.HALT),
        (Stage.SUBMITTED, False, None, Step.HALT),
        (Stage.PLANNED, True, None, Step.FETCH),  # it was halted before it was asked for
        (Stage.SUBMITTED, True, None, Step.FETCH),
        (Stage.SUBMITTED, True, Findings(ALL, ended(), False), Step.DELIVER),
        (Stage.SUBMITTED, True, Findings(ALL, ended(), True), Step.STOP),
        (Stage.SUBMITTED, True, Findings(SOME, ended("CANCELLED"), False), Step.ONLINE),
        (Stage.SUBMITTED, True, Findings(SOME, ended("CANCELLED"), True), Step.STOP),
        (Stage.SUBMITTED, True, Findings(SOME, ended(), False, fits=True), Step.ONLINE),
        (Stage.SUBMITTED, True, Findings(MISSING, ended("CANCELLED"), False), Step.ONLINE),
        (Stage.SUBMITTED, True, Findings(ALL, ended(), False, rejected=1), Step.ONLINE),
        # Rejected for good: nothing is to be asked again.
        (Stage.SUBMITTED, True, Findings(REJECTED, ended(), False), Step.DELIVER),
        (Stage.COLLECTED, False, None, Step.FETCH),
        (Stage.COLLECTED, False, Findings(SOME, ended(), False), Step.ONLINE),
        (Stage.ENDED, False, None, Step.FETCH),
        (Stage.ENDED, False, Findings(SOME, ended(), False), Step.DELIVER),  # it was online
        (Stage.DELIVERING, False, Findings(SOME, ended(), False), Step.DELIVER),
        (Stage.DELIVERED, False, Findings(SOME, ended(), False), Step.DELIVER),
    ],
)
def test_the_step_of_a_run_whose_deadline_has_passed(
    stage: Stage, is_ended: bool, findings: Findings | None, step: Step, has_pending: bool
) -> None:
    waiting = (PlannedJob("", 3, shard=2),) if has_pending else ()
    late = replace(manifest(stage), is_overdue=True, pending=waiting)
    seen = ended() if is_ended else None
    assert next_step(late, Retries(1), seen, findings) is step


@pytest.mark.parametrize(
    ("stage", "deadline", "is_overdue", "left"),
    [
        (Stage.SUBMITTED, None, False, None),
        (Stage.SUBMITTED, timedelta(seconds=100), False, 70.0),
        (Stage.SUBMITTED, timedelta(seconds=20), False, -10.0),
        (Stage.SUBMITTED, timedelta(seconds=20), True, None),  # it is known to have passed
        (Stage.ENDED, timedelta(seconds=20), False, None),
        (Stage.DELIVERED, timedelta(seconds=20), False, None),
    ],
)
def test_how_long_a_batch_may_still_take(
    stage: Stage, deadline: timedelta | None, is_overdue: bool, left: float | None
) -> None:
    at = replace(manifest(stage), begun_at=1000.0, is_overdue=is_overdue)
    assert seconds_left(at, deadline, 1030.0) == left


@pytest.mark.parametrize(
    ("attempts", "round_begins_at", "retries", "last", "refusal", "again"),
    [
        (1, 0, 0, ended(), "", False),
        (1, 0, 1, ended(), "", True),
        (2, 0, 1, ended(), "", False),
        (2, 0, 2, ended("EXPIRED"), "", True),
        (1, 0, 1, ended("FAILED"), "", False),
        (1, 0, 1, ended("CANCELLED"), "", False),
        (1, 0, 1, ended("COMPLETED", "FAILED"), "", False),
        (1, 0, 1, ended("COMPLETED", "FAILED"), "refused", True),  # it never existed
        (2, 2, 0, ended("CANCELLED"), "", True),  # the user wants it
        (3, 2, 0, ended(), "", False),
        (3, 2, 1, ended(), "", True),
        (3, 2, 1, ended("CANCELLED"), "", False),
        (4, 2, 1, ended(), "", False),
    ],
)
def test_how_often_open_rows_are_run_again(
    attempts: int, round_begins_at: int, retries: int, last: Snapshot, refusal: str, again: bool
) -> None:
    at = manifest(Stage.COLLECTED, attempts, round_begins_at, refusal)
    step = next_step(at, Retries(retries), None, Findings(SOME, last, False))
    assert step is (Step.RETRY if again else Step.DELIVER)


@pytest.mark.parametrize(
    ("attempts", "round_begins_at", "retries", "failed", "rejected", "rerun"),
    [
        (1, 0, Retries(1, 2), 1, 1, Rerun(True, True)),
        (1, 0, Retries(0, 2), 1, 1, Rerun(False, True)),
        (1, 0, Retries(1, 2), 1, 0, Rerun(True, False)),
        (1, 0, Retries(1, 0), 0, 0, Rerun()),  # rejected, and not to be asked again
        (2, 0, Retries(1, 2), 1, 1, Rerun(False, True)),
        (3, 0, Retries(1, 2), 1, 1, Rerun(False, True)),
        (4, 0, Retries(1, 2), 1, 1, Rerun()),  # each attempt at a rejected row may have failed once
        (2, 2, Retries(0, 1), 1, 1, Rerun(True, True)),
        (3, 2, Retries(0, 1), 1, 1, Rerun(False, True)),
        (4, 2, Retries(0, 1), 1, 1, Rerun()),
    ],
)
def test_which_rows_a_further_attempt_runs(
    attempts: int, round_begins_at: int, retries: Retries, failed: int, rejected: int, rerun: Rerun
) -> None:
    at = manifest(Stage.COLLECTED, attempts, round_begins_at)
    counts = RowCounts(answered=1, failed=failed, rejected=2)
    findings = Findings(counts, ended(), False, rejected)
    assert rows_to_run(at, retries, findings) == rerun
    step = next_step(at, retries, None, findings)
    assert step is (Step.DELIVER if rerun == Rerun() else Step.RETRY)


@pytest.mark.parametrize(
    ("arrivals", "open_rows", "waited", "again"),
    [
        ([Arrival("b", 3, 3)], 0, 0, False),
        ([Arrival("b", 3, 3)], 2, 0, False),
        ([Arrival("b", 3, 2)], 1, 0, True),
        ([Arrival("b", 3, 2)], 1, 599, True),
        ([Arrival("b", 3, 2)], 1, 600, False),
        ([Arrival("b", 3, 3, unfetched=("x",))], 0, 599, True),
        ([Arrival("b", 3, 3), Arrival("r1", 1, 0)], 1, 10, True),
        ([Arrival("b", 0, 0, is_final=False)], 3, 599, True),
        ([Arrival("b", 0, 0, is_final=False)], 3, 600, False),
        ([Arrival("b", 0, 3, is_final=False)], 0, 0, False),
    ],
)
def test_for_how_long_results_may_still_arrive(
    arrivals: list[Arrival], open_rows: int, waited: float, again: bool
) -> None:
    assert should_fetch_again(arrivals, open_rows, waited, Consistency()) is again


@pytest.mark.parametrize(
    ("state", "total", "processed", "final"),
    [
        ("COMPLETED", 3, 3, True),
        ("COMPLETED", 3, 2, False),
        ("COMPLETED", 0, 0, False),  # no count at all
        ("EXPIRED", 3, 2, True),
        ("FAILED", 3, 0, True),
    ],
)
def test_a_completed_job_has_processed_every_row(
    state: str, total: int, processed: int, final: bool
) -> None:
    progress = Progress(total=total, processed=processed, succeeded=processed)
    job = Job("j", "", f"JOB_STATE_{state}", progress=progress)
    assert counts_are_final(job) is final


def test_what_is_gone_says_nothing() -> None:
    assert is_conclusive([ended("COMPLETED"), ended("CANCELLED", "FAILED")])
    assert not is_conclusive([ended("COMPLETED"), ended(GONE.removeprefix("JOB_STATE_"))])
