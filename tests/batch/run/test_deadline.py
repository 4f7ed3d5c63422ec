"""By a deadline: what the batch has not finished by then is stopped, and runs online, once."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from oumi_fireworks.batch import (
    Answer,
    BatchResults,
    BatchRun,
    Dedupe,
    Failure,
    ShardLimits,
    Snapshot,
)
from oumi_fireworks.batch.manifest import Manifest
from oumi_fireworks.batch.requests import encode_row
from oumi_fireworks.emulator import Emulator, Fault, Pace
from oumi_fireworks.errors import PaymentRequiredError, ServerError
from oumi_fireworks.money import Budget, most_usage
from tests.api.support import with_client
from tests.batch.gate import Gate, Moment
from tests.batch.late import DOLLAR_A_TOKEN, online_sender
from tests.batch.nursery import Nursery
from tests.batch.support import a_run, body, require_own_answers, source
from tests.batch.test_crashes import ROWS, STRIDE, order_for

CHAT = "/chat/completions$"
AS_IT_WAITS = ["batch/watch.py", "watch", 1, "before"]
"""Where a process is killed whose jobs exist, and whose deadline has not passed."""

SOON, NEVER = timedelta(seconds=0.1), timedelta(days=1)

STANDSTILL = Pace(1, 1, 1, 80_000, per_row=80_000, writing=1, stopping=1, uploading=0.1, updating=1)
"""Jobs begin to run, and then go on for longer than any test."""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(speed=200, pace=STANDSTILL) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


def late_run(emulator: Emulator, folder: Path, rows: int = 4, **changes: object) -> BatchRun:
    send = online_sender(emulator.url, emulator.api_key)
    changes = {"deadline": SOON, **changes}
    marks = changes.pop("marks", None)
    return a_run(folder, source(rows, marks), send_online=send, **changes)  # type: ignore[arg-type]


def advance(emulator: Emulator, run: BatchRun) -> BatchResults:
    with run.lock():
        return with_client(emulator, run.advance)


class KilledError(Exception):
    """Stops a run as soon as its jobs are running."""


def advance_until_running(emulator: Emulator, run: BatchRun) -> Snapshot:
    """Advance a run, and stop it when its jobs are at work."""
    seen: list[Snapshot] = []

    def die(snapshot: Snapshot) -> None:
        if {job.state for job in snapshot.jobs} == {"JOB_STATE_RUNNING"}:
            seen.append(snapshot)
            raise KilledError

    with run.lock(), suppress(KilledError):
        with_client(emulator, lambda client: run.advance(client, die))
    return seen[0]


def answered_online(folder: Path) -> set[str]:
    """Return which rows have an answer in the file of those that ran online."""
    path = folder / "out.jsonl.run" / "results" / "online.jsonl"
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    lines = [json.loads(line) for line in whole.splitlines()]
    return {each["custom_id"].removeprefix("request-") for each in lines if "response" in each}


def sent_online(emulator: Emulator) -> int:
    return len(emulator.requests_to("POST", CHAT))


@pytest.mark.parametrize("cancel_route", [False, True])
def test_what_is_finished_is_kept_and_the_rest_runs_online(
    tmp_path: Path, cancel_route: bool
) -> None:
    with Emulator(speed=200, pace=STANDSTILL, cancel_route=cancel_route) as emulator:
        running = advance_until_running(
            emulator, late_run(emulator, tmp_path / "run", deadline=NEVER)
        )
        emulator.set_job(running.jobs[0].id, state="JOB_STATE_COMPLETED")
        run = late_run(emulator, tmp_path / "run", deadline=timedelta())
        results = advance(emulator, run)
        require_own_answers(results.index, 4)
        assert emulator.ledger.rows == sent_online(emulator) == 2
        assert results.online.prompt > 0
        assert results.is_over
        with run.lock():
            with_client(emulator, run.finish)
        assert not (tmp_path / "run").exists()


def test_the_deadline_is_counted_from_the_beginning(emulator: Emulator, tmp_path: Path) -> None:
    advance_until_running(emulator, late_run(emulator, tmp_path / "run", deadline=NEVER))
    path = tmp_path / "run" / "run.json"
    begun = Manifest.load(path)
    assert begun is not None
    assert not sent_online(emulator)
    looks = len(emulator.requests)
    results = advance(emulator, late_run(emulator, tmp_path / "run", deadline=timedelta()))
    require_own_answers(results.index, 4)
    ended = Manifest.load(path)
    assert ended is not None
    assert ended.begun_at == begun.begun_at
    assert ended.is_overdue
    uploads = [each for each in emulator.requests[looks:] if each.path.endswith(":upload")]
    assert not uploads


def test_a_batch_that_is_in_time_is_left_alone(tmp_path: Path) -> None:
    with Emulator(speed=20_000) as emulator:
        results = advance(emulator, late_run(emulator, tmp_path / "run", deadline=NEVER))
        require_own_answers(results.index, 4)
        assert not sent_online(emulator)


def test_repeats_run_online_once_and_a_row_that_is_refused_is_a_failure(
    emulator: Emulator, tmp_path: Path
) -> None:
    run = late_run(emulator, tmp_path / "run", marks={1: "[[fail 400]]"}, dedupe=Dedupe.ON)
    results = advance(emulator, run)
    outcomes = list(results.index.outcomes())
    assert [type(each) for each in outcomes] == [Answer, Failure, Answer, Answer]
    assert isinstance(outcomes[1], Failure)
    assert outcomes[1].code == "400"
    assert sent_online(emulator) == 4
    assert emulator.ledger.rows == 0


def test_a_late_run_of_which_every_row_fails_is_over(emulator: Emulator, tmp_path: Path) -> None:
    """Its jobs are deleted, so that of them nothing is known; of its rows all is."""
    marks = dict.fromkeys(range(4), "[[fail 400]]")
    run = late_run(emulator, tmp_path / "run", marks=marks)
    results = advance(emulator, run)
    assert results.index.counts.failed == 4
    assert results.is_over
    with run.lock():
        with_client(emulator, run.finish)
    assert not (tmp_path / "run").exists()


def test_an_online_run_that_ends_early_goes_on_with_the_rest(
    emulator: Emulator, tmp_path: Path
) -> None:
    """A 402 ends all of it: what came before is kept."""
    emulator.faults.add(Fault("POST", CHAT, status=402, after=1, times=99))
    run = late_run(emulator, tmp_path / "run")
    with pytest.raises(PaymentRequiredError):
        advance(emulator, run)
    emulator.faults.clear()
    kept = len((tmp_path / "run" / "results" / "online.jsonl").read_bytes().splitlines())
    before = sent_online(emulator)
    require_own_answers(advance(emulator, run).index, 4)
    assert sent_online(emulator) - before == 4 - kept


def test_a_creation_that_is_late_is_stopped_as_well(emulator: Emulator, tmp_path: Path) -> None:
    """Killed amid the submission, and past the deadline: the job that exists is stopped."""
    emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=503, after=1, times=99))
    run = late_run(emulator, tmp_path / "run", deadline=NEVER)
    with pytest.raises(ServerError):
        advance(emulator, run)
    emulator.faults.clear()
    assert len(emulator.jobs) == 1
    results = advance(emulator, late_run(emulator, tmp_path / "run", deadline=timedelta()))
    require_own_answers(results.index, 4)
    assert [job.state for job in emulator.jobs] == ["JOB_STATE_DELETED"]
    assert sent_online(emulator) == 4


def test_what_runs_online_is_held_to_what_the_batch_has_left_of_the_cap(
    emulator: Emulator, tmp_path: Path
) -> None:
    worst = row_at_worst()
    for share, answered in ((2.5, 2), (3.5, 3), (9, 4)):
        budget = Budget(Decimal(int(worst * share)), DOLLAR_A_TOKEN)
        limits = ShardLimits(max_rows=2, max_cost=1.0, token_costs=(1.0, 1.0))
        run = late_run(
            emulator, tmp_path / "run", deadline=timedelta(), budget=budget, limits=limits
        )
        results = advance(emulator, run)
        counts = results.index.counts
        assert counts.answered >= answered
        assert counts.answered + counts.over_budget == 4
        used = results.online
        assert used.prompt + used.completion <= budget.most
        assert (results.held_by is None) == (counts.answered == 4)
        assert sent_online(emulator) == counts.answered
    assert emulator.ledger.rows == 0


def row_at_worst() -> int:
    """Return the most tokens of one row, and so dollars."""
    line = encode_row(next(source(1)()))
    usage = most_usage(body(0), len(line))
    return usage.prompt + usage.completion


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_a_request_no_answer_is_paid_for_again(
    nursery: Nursery, tmp_path: Path, moment: Moment
) -> None:
    number, has_acted = 1, True
    while has_acted:
        folder = tmp_path / f"{number}"
        with Emulator(speed=200, pace=STANDSTILL) as emulator:
            pid: Future[int] = Future()

            def kill(pid: Future[int] = pid) -> None:
                os.kill(pid.result(), signal.SIGKILL)

            with Gate(emulator.url, 0, moment, kill) as gate:
                order = {**order_for(emulator, folder, gate.url), "deadline": 0.0}
                in_time = {**order, "deadline": 86_400, "die_at": AS_IT_WAITS}
                assert nursery.run(in_time) == (-signal.SIGKILL, {})
                gate.count_anew(number)
                pid.set_result(nursery.start(order))
                nursery.wait()
                has_acted = gate.has_acted
                kept = answered_online(folder)
                assert nursery.run({**order, "sender": "second"}) == (0, {})
            lines = (folder / "out.jsonl").read_text().splitlines()
            assert len(lines) == ROWS
            asked = {
                each.body["messages"][0]["content"].split()[1]
                for each in emulator.requests_to("POST", CHAT)
                if each.headers["x-sender"] == "second"
            }
            assert not asked & kept, number
            assert emulator.ledger.rows == 0
            assert {job.state for job in emulator.jobs} <= {"JOB_STATE_DELETED"}
        number += STRIDE
    assert number > 12
