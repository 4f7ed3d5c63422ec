"""Waiting: gently, for as long as it takes, and saying each thing once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oumi_fireworks.api import FireworksClient, Job, Phase, Progress, RetryPolicy
from oumi_fireworks.batch import ShardLimits, Snapshot, WaitPolicy, submit_new, watch
from oumi_fireworks.batch.concerns import expiring
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.batch.watch import Concerns
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import AuthenticationError, NotFoundError, WaitTimeoutError
from tests.api.support import connection, with_client
from tests.batch.support import EAGER, SPEC, source, still_emulator

ONCE = RetryPolicy(attempts=1)
JOB = "/batchInferenceJobs/"


def submit_and_watch(
    emulator: Emulator,
    folder: Path,
    on_progress: Callable[[Snapshot], None] | None = None,
    *,
    wait_policy: WaitPolicy = EAGER,
    retry: RetryPolicy = ONCE,
    before: Callable[[str], None] = lambda batch: None,
) -> Snapshot:
    """Submit two jobs, do something, and wait for them."""

    async def run(client: FireworksClient) -> Snapshot:
        batch = await submit_new(
            client,
            source(4)(),
            SPEC,
            folder=folder,
            limits=ShardLimits(max_rows=2),
            concurrency=2,
        )
        before(batch)
        return await watch(client, batch, wait_policy, on_progress)

    return with_client(connection(emulator, retry), run)


def test_it_ends_when_the_last_job_has_ended(emulator: Emulator, tmp_path: Path) -> None:
    seen: list[Snapshot] = []
    last = submit_and_watch(emulator, tmp_path, seen.append)
    assert last.phase is Phase.COMPLETED
    assert seen[-1] == last
    assert not any(snapshot.is_terminal for snapshot in seen[:-1])
    assert all(job.state == "JOB_STATE_COMPLETED" for job in emulator.jobs)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", JOB, status=503, times=40),
        Fault("GET", JOB, status=429, times=40),
        Fault("GET", JOB, "reset", times=40),
        Fault("GET", JOB, "truncated_json", times=40),
        Fault("GET", JOB, "garbage", body="<html>login</html>", times=40),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_any_number_of_failing_polls_is_survived_and_told_once(
    emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    caplog.set_level(logging.INFO, "oumi_fireworks.batch.watch")
    last = submit_and_watch(
        emulator,
        tmp_path,
        wait_policy=WaitPolicy(poll_interval=0.002),
        before=lambda batch: emulator.faults.add(fault),
    )
    assert last.phase is Phase.COMPLETED
    assert emulator.faults.fired(fault) == 40
    said = [r.message for r in caplog.records if r.name == "oumi_fireworks.batch.watch"]
    assert len(said) == 2
    assert "will try again" in said[0]
    assert said[1] == "The batch can be seen again."


def test_trouble_that_comes_back_is_told_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oumi_fireworks.batch.watch")
    with still_emulator() as emulator:
        looks = 0

        def trouble_then_end(snapshot: Snapshot) -> None:
            nonlocal looks
            looks += 1
            if looks <= 3:
                emulator.faults.add(Fault("GET", "-x2-1$", status=503, times=2))
            elif not snapshot.is_terminal:
                for job in emulator.jobs:
                    emulator.set_job(job.id, state="JOB_STATE_COMPLETED")

        submit_and_watch(emulator, tmp_path, trouble_then_end)
    said = [r.message for r in caplog.records if r.name == "oumi_fireworks.batch.watch"]
    assert len(said) == 6


@pytest.mark.parametrize("status", [401, 403])
def test_what_cannot_get_better_is_raised(emulator: Emulator, tmp_path: Path, status: int) -> None:
    fault = Fault("GET", JOB, status=status, times=None)
    with pytest.raises(AuthenticationError):
        submit_and_watch(emulator, tmp_path, before=lambda batch: emulator.faults.add(fault))


def test_a_batch_that_does_not_exist_is_not_waited_for(emulator: Emulator) -> None:
    with pytest.raises(NotFoundError):
        with_client(emulator, lambda client: watch(client, "oumi-aaaaaaaaaaaaaaaa", EAGER))


@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_a_timeout_says_how_it_stands_and_the_batch_goes_on(
    emulator: Emulator, tmp_path: Path, timeout: float
) -> None:
    def pause(batch: str) -> None:
        for job in emulator.jobs:
            emulator.set_job(job.id, state="JOB_STATE_PAUSED")

    wait_policy = WaitPolicy(poll_interval=0.01, timeout=timeout)
    with pytest.raises(WaitTimeoutError, match=r"JOB_STATE_PAUSED.*goes on.*batch cancel oumi-"):
        submit_and_watch(emulator, tmp_path, wait_policy=wait_policy, before=pause)
    assert issubclass(WaitTimeoutError, TimeoutError)
    assert [job.state for job in emulator.jobs] == ["JOB_STATE_PAUSED"] * 2


def test_a_timeout_counts_while_nothing_can_be_seen(emulator: Emulator, tmp_path: Path) -> None:
    fault = Fault("GET", JOB, status=503, times=None)
    with pytest.raises(WaitTimeoutError, match="has not ended"):
        submit_and_watch(
            emulator,
            tmp_path,
            wait_policy=WaitPolicy(poll_interval=0.01, timeout=0.05),
            before=lambda batch: emulator.faults.add(fault),
        )


def test_standing_still_for_long_is_warned_of_once(
    emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0

    def look(snapshot: Snapshot) -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            for job in emulator.jobs:
                emulator.set_job(job.id)  # go on

    def stand(batch: str) -> None:
        for job in emulator.jobs:
            emulator.set_job(job.id, state="JOB_STATE_PENDING")

    wait_policy = WaitPolicy(poll_interval=0.005, pending_warning=0)
    submit_and_watch(emulator, tmp_path, look, wait_policy=wait_policy, before=stand)
    warnings = [r.message for r in caplog.records if r.name == "oumi_fireworks.batch.watch"]
    assert len(warnings) == 1
    assert "JOB_STATE_PENDING" in warnings[0]
    assert f"the model {SPEC.model} may not support batch" in warnings[0]
    assert "batch cancel oumi-" in warnings[0]


def warnings_at(
    caplog: pytest.LogCaptureFixture, *looks: tuple[float, Snapshot]
) -> list[tuple[int, str]]:
    """Tell at which of some looks, each after so many seconds of waiting, there is a warning."""
    caplog.clear()
    concerns = Concerns(pending_warning=1800)
    said = []
    for number, (waited, snapshot) in enumerate(looks):
        before = len(caplog.messages)
        concerns.saw(snapshot, waited)
        said += [(number, message) for message in caplog.messages[before:]]
    return said


def seen(*states: str, processed: int = 0) -> Snapshot:
    """Jobs in some states, of which the first has processed some rows."""
    jobs = [Job(f"j-{n}", "", f"JOB_STATE_{state}", model="m") for n, state in enumerate(states)]
    jobs[0] = replace(jobs[0], progress=Progress(processed=processed))
    return Snapshot("b", tuple(jobs))


def test_only_the_time_that_it_stands_still_counts(caplog: pytest.LogCaptureFixture) -> None:
    running, pending = seen("RUNNING"), seen("PENDING", processed=5)
    assert not warnings_at(caplog, (0, running), (9000, running), (9030, pending), (10800, pending))
    looks = [(0, running), (9000, pending), (10800, pending), (12600, pending)]
    [(look, message)] = warnings_at(caplog, *looks)
    assert look == 2
    assert "has been JOB_STATE_PENDING for 30 minutes. Capacity may be short." in message


@pytest.mark.parametrize("state", ["RE_QUEUEING", "RUNNING"])
@pytest.mark.parametrize("waiting", [False, True])
def test_a_job_that_fireworks_takes_up_and_puts_down_is_no_trouble(
    caplog: pytest.LogCaptureFixture, state: str, waiting: bool
) -> None:
    [job] = seen(state).jobs
    jobs = Snapshot("b", (replace(job, waiting_on_capacity=waiting),))
    assert not warnings_at(caplog, (0, jobs), (7200, jobs))


def test_machines_that_are_set_up_for_half_an_hour_are_a_matter_for_the_support(
    caplog: pytest.LogCaptureFixture,
) -> None:
    creating = seen("CREATING", "RUNNING")
    looks = ((0.0, creating), (1799.0, creating), (1801.0, creating), (3600.0, creating))
    [(look, message)] = warnings_at(caplog, *looks)
    assert look == 2
    assert "name the job j-0 to its support" in message


def test_the_model_is_not_blamed_when_a_job_of_the_batch_has_begun(
    caplog: pytest.LogCaptureFixture,
) -> None:
    halves = seen("RUNNING", "PENDING", processed=3)
    [(_, message)] = warnings_at(caplog, (0, halves), (1800, halves))
    assert "Capacity may be short." in message
    assert "the model" not in message


def test_a_suspended_account_is_named_as_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    paused = seen("PAUSED", "PENDING")
    [(_, message)] = warnings_at(caplog, (0, paused), (1800, paused))
    assert "suspended account; see its billing page" in message


def test_a_batch_at_work_is_not_warned_of(
    emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def run(batch: str) -> None:
        for job in emulator.jobs:
            emulator.set_job(job.id, state="JOB_STATE_RUNNING")

    wait_policy = WaitPolicy(poll_interval=0.005, timeout=0.03, pending_warning=0)
    with pytest.raises(WaitTimeoutError):
        submit_and_watch(emulator, tmp_path, wait_policy=wait_policy, before=run)
    assert not [r for r in caplog.records if r.name == "oumi_fireworks.batch.watch"]


@pytest.mark.parametrize(
    ("left", "processed", "state", "is_told"),
    [
        (2.5, 0, "RUNNING", False),
        (2.3, 0, "RUNNING", True),
        (2.3, 899, "RUNNING", True),
        (2.3, 900, "RUNNING", False),
        (-0.1, 500, "PENDING", True),
        (2.3, 0, "WRITING_RESULTS", False),
        (2.3, 0, "EXPIRED", False),
    ],
)
def test_a_job_near_its_end_with_many_rows_open_is_warned_of(
    left: float, processed: int, state: str, is_told: bool
) -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    progress = Progress(total=1000, processed=processed)
    ends = now + timedelta(hours=left)
    job = Job("j", "", f"JOB_STATE_{state}", expires=ends, progress=progress)
    by_window = replace(job, expires=None, created=ends - timedelta(hours=24))
    late_here = replace(job, updated=now)
    for each, here in ((job, now), (by_window, now), (late_here, now - timedelta(hours=9))):
        told = [concern.message for concern in expiring(Snapshot("b", (each,)), here)]
        assert len(told) == is_told
        if is_told:
            assert f"{1000 - processed:,} of 1,000 rows are open" in told[0]
            assert "of its 24 hours" in told[0]
            assert "kept and paid for" in told[0]
            assert "batch_window" in told[0]


def test_a_longer_window_moves_the_warning() -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    job = Job(
        "j", "", "JOB_STATE_RUNNING",
        created=now - timedelta(hours=65), window=timedelta(hours=72), progress=Progress(total=9),
    )  # fmt: skip
    [told] = expiring(Snapshot("b", (job,)), now)
    assert "of its 72 hours" in told.message
    assert "batch_window" not in told.message


def test_looks_are_a_minute_apart_after_the_first_two() -> None:
    pace = Backoff(first=0.5, bound=WaitPolicy().poll_interval)
    looks, waited = 0, 0.0
    while waited < 120:
        waited += pace.next()
        looks += 1
    assert looks <= 15
    assert all(48 <= pace.next() <= 72 for _ in range(100))


def test_waits_grow_to_their_bound_and_are_never_in_step() -> None:
    pace = Backoff(first=0.5, bound=30)
    waits = [pace.next() for _ in range(30)]
    assert 0.4 <= waits[0] <= 0.6
    for number, wait in enumerate(waits):
        expected = min(0.5 * 1.5**number, 30)
        assert 0.8 * expected <= wait <= 1.2 * expected
    assert len(set(waits[15:])) == 15


def test_a_bound_below_the_first_wait_counts() -> None:
    pace = Backoff(first=0.5, bound=0.01)
    assert all(pace.next() <= 0.012 for _ in range(10))
