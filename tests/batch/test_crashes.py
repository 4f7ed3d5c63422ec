"""Killed at any moment, the same run goes on: one job for each shard, every row once.

A child process (``crash_child.py``) takes four rows through two jobs and further ones, and is
killed with SIGKILL. The further ones are for a row that fails at first, or for two rows whose
answers are rejected, one of them twice. By default it is killed at every third request and at a few
random moments. ``OUMI_FIREWORKS_CRASHES=all`` kills it at every request, before it was
carried out and after, and at hundreds of random moments::

    OUMI_FIREWORKS_CRASHES=all python -m pytest tests/batch/test_crashes.py -s
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from tests.batch.gate import Gate, Moment
from tests.batch.nursery import Nursery
from tests.batch.support import body, quick_emulator

IS_LONG = os.environ.get("OUMI_FIREWORKS_CRASHES") == "all"
STRIDE = 1 if IS_LONG else 3
RANDOM_RUNS = 60 if IS_LONG else 4
KILLS_IN_A_RUN = 6
PATIENCE = 60.0

ROWS = 4
FLAKY = 2
JOBS = 3


@dataclass(frozen=True)
class Scenario:
    """What happens to the rows on their way.

    Attributes:
        marks: What the emulator is to do with some of them.
        further: The jobs after the first two: the end of the id, and the rows.
        on_reject: How they are asked for again.
    """

    marks: Mapping[int, str]
    further: tuple[tuple[str, int], ...]
    on_reject: Mapping[str, Any] | None = None


FAILED = Scenario({FLAKY: "[[flaky]]"}, (("-r1", 1),))
REJECTED = Scenario(
    {1: "[[bad 1]]", 2: "[[bad 2]]"},
    (("-r1", 2), ("-r2", 1)),
    {"temperature": 0.2, "attempts": 2},
)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with quick_emulator() as emulator:
        yield emulator


def order_for(
    emulator: Emulator, folder: Path, url: str | None = None, scenario: Scenario = FAILED
) -> dict[str, Any]:
    """The order to take the rows to the end."""
    folder.mkdir(exist_ok=True)
    path = folder / "in.jsonl"
    lines = [json.dumps(body(row, scenario.marks.get(row, ""))) for row in range(ROWS)]
    path.write_text("".join(line + "\n" for line in lines))
    return {
        "connection": {
            "root_url": url or emulator.url,
            "api_key": emulator.api_key,
            "account": emulator.account,
        },
        "input": str(path),
        "output": str(folder / "out.jsonl"),
        "folder": str(folder / "out.jsonl.run"),
        "on_reject": scenario.on_reject,
    }


def require_done_once(emulator: Emulator, folder: Path, scenario: Scenario = FAILED) -> None:
    """Assert that the output is whole and that nothing was made twice for it."""
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == list(range(ROWS))
    assert not [line for line in lines if not line["answer"].startswith(f"row {line['row']} ")]
    assert sorted(path.name for path in folder.iterdir()) == ["in.jsonl", "out.jsonl"]
    jobs = [(job.id[21:], job.state, job.rows) for job in emulator.jobs]
    assert jobs == [
        ("-x2-0", "JOB_STATE_COMPLETED", 2),
        ("-x2-1", "JOB_STATE_COMPLETED", 2),
        *((name, "JOB_STATE_COMPLETED", rows) for name, rows in scenario.further),
    ]
    inputs = [dataset for dataset in emulator.datasets if dataset.id.endswith("-in")]
    assert sorted(dataset.id for dataset in inputs) == sorted(job.input for job in emulator.jobs)
    assert [len(dataset.files) for dataset in inputs] == [1] * (2 + len(scenario.further))
    assert [dataset.rows for dataset in inputs] == [dataset.example_count for dataset in inputs]


@pytest.mark.parametrize("scenario", [FAILED, REJECTED], ids=["failed", "rejected"])
def test_left_alone_it_is_done_once(
    nursery: Nursery, emulator: Emulator, tmp_path: Path, scenario: Scenario
) -> None:
    order = order_for(emulator, tmp_path, scenario=scenario)
    assert nursery.run(order) == (0, {})
    require_done_once(emulator, tmp_path, scenario)
    before = len(emulator.requests)
    assert nursery.run(order) == (0, {})  # nothing is left to do
    assert len(emulator.requests) == before


def strike_at(
    nursery: Nursery,
    folder: Path,
    number: int,
    moment: Moment,
    blow: signal.Signals,
    scenario: Scenario = FAILED,
) -> bool:
    """Strike a child at its n-th request, then run it to the end.

    Returns:
        Whether it had that many requests.
    """
    with quick_emulator() as emulator:
        pid: Future[int] = Future()
        with Gate(emulator.url, number, moment, lambda: os.kill(pid.result(), blow)) as gate:
            order = order_for(emulator, folder, gate.url, scenario)
            pid.set_result(nursery.start(order))
            status, error = nursery.wait()
            if gate.has_acted and blow is signal.SIGKILL:
                assert status == -signal.SIGKILL
            if gate.has_acted and blow is signal.SIGINT:
                assert error["error"] == "KeyboardInterrupt"
            assert nursery.run(order) == (0, {})
        require_done_once(emulator, folder, scenario)
        return gate.has_acted


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("scenario", [FAILED, REJECTED], ids=["failed", "rejected"])
def test_killed_at_a_request(
    nursery: Nursery, tmp_path: Path, moment: Moment, scenario: Scenario
) -> None:
    kills, number = 0, 1
    while strike_at(nursery, tmp_path / str(number), number, moment, signal.SIGKILL, scenario):
        kills += 1
        number += STRIDE
    assert number > 30
    print(f"killed {moment} {kills} requests")


@pytest.mark.parametrize("number", range(2, 32, 1 if IS_LONG else 9))
def test_interrupted_at_a_request(nursery: Nursery, tmp_path: Path, number: int) -> None:
    assert strike_at(nursery, tmp_path, number, "after", signal.SIGINT)


@pytest.mark.parametrize("seed", range(RANDOM_RUNS))
def test_killed_at_random_moments(
    nursery: Nursery, emulator: Emulator, tmp_path: Path, seed: int
) -> None:
    rng, kills = random.Random(seed), 0
    order = order_for(emulator, tmp_path)
    for _ in range(KILLS_IN_A_RUN):
        status, _ = nursery.run({**order, "kill_after": rng.uniform(0, 0.3)})
        kills += status == -signal.SIGKILL
    assert nursery.run(order) == (0, {})
    require_done_once(emulator, tmp_path)
    print(f"killed {kills} times")


def test_a_second_process_is_told(nursery: Nursery, emulator: Emulator, tmp_path: Path) -> None:
    is_there, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        is_there.set()
        may_go_on.wait(PATIENCE)

    with Nursery() as second, Gate(emulator.url, 7, "after", hold) as gate:
        order = order_for(emulator, tmp_path, gate.url)
        nursery.start(order)
        assert is_there.wait(PATIENCE)
        before = len(emulator.requests)
        status, error = second.run(order)
        assert status == 1
        assert error["error"] == "RunLockedError"
        assert order["folder"] in error["message"]
        assert len(emulator.requests) == before
        may_go_on.set()
        assert nursery.wait() == (0, {})
    require_done_once(emulator, tmp_path)


def test_a_disk_without_room_for_the_requests_submits_nothing(
    nursery: Nursery, emulator: Emulator, tmp_path: Path
) -> None:
    order = order_for(emulator, tmp_path)
    status, error = nursery.run({**order, "file_limit": 150})
    assert (status, error["error"]) == (1, "SpoolError")
    assert "Nothing was submitted" in error["message"]
    assert emulator.requests == []
    assert nursery.run(order) == (0, {})
    require_done_once(emulator, tmp_path)


def test_a_disk_without_room_for_the_results_loses_nothing(
    nursery: Nursery, emulator: Emulator, tmp_path: Path
) -> None:
    order = order_for(emulator, tmp_path)
    words = "a long question " * 300  # echoed whole: an answer ends at 2,048 tokens
    lines = [
        json.dumps(body(row, f"{words}{FAILED.marks.get(row, '')}") | {"max_tokens": 10_000})
        for row in range(ROWS)
    ]
    Path(order["input"]).write_text("".join(line + "\n" for line in lines))
    shard = 2 * len(lines[0])
    status, error = nursery.run({**order, "file_limit": shard + 200})
    assert (status, error["error"]) == (1, "SpoolError")
    assert "safe on Fireworks" in error["message"]
    assert len(emulator.jobs) == 2
    assert nursery.run(order) == (0, {})
    require_done_once(emulator, tmp_path)
