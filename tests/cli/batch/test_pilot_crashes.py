"""``batch check --pilot N --pilot-mode batch`` killed by SIGKILL at each of its steps.

Then it is asked for with a smaller N, and with a larger one: no row is sent twice. The suite
strikes some of the steps, ``make soak`` all of them, before and after.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.batch.gate import Gate, Moment
from tests.batch.nursery import Nursery
from tests.batch.support import quick_emulator
from tests.cli.batch.strikes import Processes, steps

ROWS = 12
ARGUMENTS = (
    "batch", "check", "-c", "config.yaml", "--input", "in.jsonl", "--cache", "cache",
    "--pilot-mode", "batch", "--price-in", "1", "--price-out", "1",
    "--model.model_kwargs.fireworks.poll_interval=0.01",
)  # fmt: skip
REFUSED, REJECTED = "[[fail 400]]", "no json"
ACCEPT = "--model.model_kwargs.fireworks.accept={json: true}"


class Pilots(Processes):
    """Pilots with one cache.

    Args:
        nursery: Where the processes come from.
        url: Where they find the service.
        emulator: Who is paid.
        folder: Where they run.
    """

    def __init__(self, nursery: Nursery, url: str, emulator: Emulator, folder: Path) -> None:
        self._emulator = emulator
        env = {name: text.replace(emulator.url, url) for name, text in emulator.env.items()}
        replies = [f'[[reply {{"a": {row}}}]]' for row in range(ROWS - 4)]
        texts = [*replies, REFUSED, REFUSED, REJECTED, REJECTED]
        super().__init__(nursery, env, folder, [f"{row} {t}" for row, t in enumerate(texts)])

    def start(self, rows: int, **how: object) -> int:
        """Start one; return the process's id."""
        return self.begin([*ARGUMENTS, ACCEPT, "--pilot", str(rows)], **how)

    def go_on(self) -> None:
        """Ask for fewer rows, for all of them, and once more: each row was sent once."""
        for rows in (4, ROWS, ROWS):
            self.start(rows)
            status = self.end()
            assert status in (0, 3), self.said
        assert self._emulator.ledger.rows == ROWS  # the refused ones are on it as well
        assert "8 known to the answer cache, 2 rejected, not kept, 2 failed" in self.words
        assert "4 rows of these known from an earlier pilot" in self.words
        assert not list(self._folder.rglob("run.json"))

    @property
    def words(self) -> str:
        return " ".join(self.said.split())


@steps(17, "after")
def test_killed_at_a_request(nursery: Nursery, tmp_path: Path, stride: int, moment: Moment) -> None:
    kills, number = 0, 1
    while True:
        with quick_emulator() as emulator, ExitStack() as stack:
            pids: list[int] = []

            def kill(pids: list[int] = pids) -> None:
                os.kill(pids[-1], signal.SIGKILL)

            gate = stack.enter_context(Gate(emulator.url, number, moment, kill))
            pilots = Pilots(nursery, gate.url, emulator, tmp_path / str(number))
            pids.append(pilots.start(7))
            kills += pilots.end() == -signal.SIGKILL
            pilots.go_on()
            if not gate.has_acted:
                break
        number += stride
    assert kills >= 10 / stride


@steps(3, "after")
@pytest.mark.parametrize(
    "call",
    [("manifest.py", "save"), ("pilot_store.py", "remember"), ("pilot_store.py", "take")],
    ids=["decides", "remembers", "begins"],
)
def test_killed_as_it_writes_down(
    nursery: Nursery, tmp_path: Path, call: tuple[str, str], stride: int, moment: Moment
) -> None:
    kills, number = 0, 1
    while True:
        with quick_emulator() as emulator:
            pilots = Pilots(nursery, emulator.url, emulator, tmp_path / str(number))
            pilots.start(9, die_at=[*call, number, moment])
            was_killed = pilots.end() == -signal.SIGKILL
            kills += was_killed
            pilots.go_on()
            if not was_killed:
                break
        number += stride
    assert kills
