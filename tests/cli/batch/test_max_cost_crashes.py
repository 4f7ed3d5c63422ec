"""``batch run --max-cost`` killed by SIGKILL at each of its steps: the cap holds, no row is lost.

A cap that is reached, and then a higher one with which the run goes on: under both, a process is
killed at a request, or as it writes down what it has decided or spent. In batch mode these are the
waves as they are released and settled, a retry, and the raise; online, what each request sets
aside. The suite strikes some of these steps, ``make soak`` all of them, before and after.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.batch.gate import Gate, Moment
from tests.batch.nursery import Nursery
from tests.batch.support import quick_emulator
from tests.cli.batch.strikes import Processes, steps
from tests.cli.batch.support import read_lines

ROWS = 4
FLAKY = 2
CAPS = (1700, 20_000)
"""Dollars, each a token. A row takes some 250, and 1,200 at its worst: the first allows two."""

ARGUMENTS = (
    "batch", "run", "-c", "config.yaml", "--input", "in.jsonl", "--output", "out.jsonl",
    "--price-in", "1000000", "--price-out", "1000000", "--generation.max_new_tokens", "300",
    "--model.model_kwargs.fireworks.poll_interval=0.01",
)  # fmt: skip
IN_FLIGHT = 2
ONLINE = ("--mode", "online", f"--remote_params.num_workers={IN_FLIGHT}")
SPENT, DECIDED = ("purse.py", "_note"), ("manifest.py", "save")


class Campaign(Processes):
    """The same command under one cap after the other, each killed where the test says so.

    Args:
        nursery: Where its processes come from.
        emulator: Who is paid.
        folder: Where it runs.
        mode: Further arguments.
    """

    def __init__(
        self, nursery: Nursery, emulator: Emulator, folder: Path, mode: tuple[str, ...] = ()
    ) -> None:
        self._emulator, self._mode = emulator, mode
        marks = {FLAKY: "[[flaky]]"} if not mode else {}
        texts = [f"row {row} [[echo]]{'word ' * 100}{marks.get(row, '')}" for row in range(ROWS)]
        super().__init__(nursery, emulator.env, folder, texts)

    def start(self, cap: int, **how: object) -> int:
        """Start a process; return its id."""
        return self.begin([*ARGUMENTS, *self._mode, "--max-cost", str(cap)], **how)

    def wait(self, cap: int) -> int:
        """Wait for its end; return its exit code, or minus the signal. The cap has held."""
        status = self.end()
        ledger = self._emulator.ledger
        billed = ledger.input_tokens + ledger.output_tokens
        billed += ledger.online.input_tokens + ledger.online.output_tokens
        assert billed <= cap
        return status

    def run(self, cap: int, **how: object) -> int:
        self.start(cap, **how)
        return self.wait(cap)

    def require_end(self, cap: int, status: int) -> None:
        """Assert that a process has ended as it should under this cap, and what there is then."""
        if cap == CAPS[0]:
            assert status == 3, self.said
            assert "over budget" in self.said
            return
        assert status == 0, self.said
        rows = read_lines(self._folder / "out.jsonl")
        assert [row["messages"][0]["content"].split()[1] for row in rows] == list("0123")
        assert all(row["messages"][1]["content"].startswith("row ") for row in rows)
        left = {"in.jsonl", "config.yaml", "said", "out.jsonl"}
        assert {path.name for path in self._folder.iterdir()} == left

    def finish(self, caps: tuple[int, ...]) -> None:
        """Run the same command to its end, under each cap."""
        for cap in caps:
            self.require_end(cap, self.run(cap))


def require_paid_once(emulator: Emulator) -> None:
    """Assert that each row ran once, but for the flaky one."""
    assert emulator.ledger.rows == ROWS + 1


def require_next_to_nothing_lost(emulator: Emulator) -> None:
    """Assert that each row was answered once online, but for those that were in flight."""
    assert ROWS <= emulator.ledger.online.requests <= ROWS + IN_FLIGHT


def test_left_alone_it_is_held_and_goes_on(nursery: Nursery, tmp_path: Path) -> None:
    with quick_emulator() as emulator:
        campaign = Campaign(nursery, emulator, tmp_path / "one")
        campaign.finish(CAPS[:1])
        names = [job.id[21:] for job in emulator.jobs]
        assert names == ["", "-r1"]
        campaign.finish(CAPS[1:])
        names = [job.id[21:] for job in emulator.jobs]
        assert names == ["", "-r1", "-r2-x2-0", "-r2-x2-1", "-r3"]
        require_paid_once(emulator)


@steps(25, "after")
def test_killed_at_a_request_of_a_batch(
    nursery: Nursery, tmp_path: Path, stride: int, moment: Moment
) -> None:
    kills = strike_requests(nursery, tmp_path, (), moment, stride, require_paid_once)
    assert kills > 40 / stride


@steps(3, "after")
def test_killed_at_a_request_online(
    nursery: Nursery, tmp_path: Path, stride: int, moment: Moment
) -> None:
    kills = strike_requests(nursery, tmp_path, ONLINE, moment, stride, require_next_to_nothing_lost)
    assert kills == -(-ROWS // stride)


def strike_requests(
    nursery: Nursery,
    folder: Path,
    mode: tuple[str, ...],
    moment: Moment,
    stride: int,
    require: Callable[[Emulator], None],
) -> int:
    """Kill a campaign at its requests, one campaign for each; return how many were killed."""
    kills, number = 0, 1
    while True:
        with quick_emulator() as emulator, ExitStack() as stack:
            pids: list[int] = []

            def kill(pids: list[int] = pids) -> None:
                os.kill(pids[-1], signal.SIGKILL)

            gate = stack.enter_context(Gate(emulator.url, number, moment, kill))
            campaign = Campaign(nursery, emulator, folder / str(number), mode)
            campaign.env = {
                name: value.replace(emulator.url, gate.url) for name, value in emulator.env.items()
            }
            for cap in CAPS:
                pids.append(campaign.start(cap))
                status = campaign.wait(cap)
                if status == -signal.SIGKILL:
                    kills += 1
                    status = campaign.run(cap)
                campaign.require_end(cap, status)
            require(emulator)
            if not gate.has_acted:
                return kills
        number += stride


@steps(7, "before")
@pytest.mark.parametrize("which", [0, 1], ids=["until it is held", "from the raise on"])
def test_killed_as_it_writes_down_what_it_has_decided(
    nursery: Nursery, tmp_path: Path, which: int, stride: int, moment: Moment
) -> None:
    at = (*DECIDED, moment)
    assert strike_calls(nursery, tmp_path, (), at, which, stride, require_paid_once) > 6 / stride


@steps(3, "after")
@pytest.mark.parametrize("which", [0, 1], ids=["until it is held", "from the raise on"])
def test_killed_as_it_writes_down_what_it_has_spent(
    nursery: Nursery, tmp_path: Path, which: int, stride: int, moment: Moment
) -> None:
    at = (*SPENT, moment)
    kills = strike_calls(nursery, tmp_path, ONLINE, at, which, stride, require_next_to_nothing_lost)
    assert kills == -(-4 // stride)  # two rows, each of which sets aside and settles


def strike_calls(
    nursery: Nursery,
    folder: Path,
    mode: tuple[str, ...],
    call: tuple[str, str, str],
    which: int,
    stride: int,
    require: Callable[[Emulator], None],
) -> int:
    """Kill a campaign under one of its caps at calls of a function, one campaign for each."""
    file, function, moment = call
    kills, number = 0, 1
    while True:
        with quick_emulator() as emulator:
            campaign = Campaign(nursery, emulator, folder / str(number), mode)
            campaign.finish(CAPS[:which])
            status = campaign.run(CAPS[which], die_at=[file, function, number, moment])
            if status != -signal.SIGKILL:
                campaign.require_end(CAPS[which], status)
                return kills
            kills += 1
            campaign.finish(CAPS[which:])
            require(emulator)
        number += stride
