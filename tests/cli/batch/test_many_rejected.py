"""Many rows of which a tenth are rejected at first: in flat memory; run by `make soak`.

``OUMI_FIREWORKS_SOAK_ROWS`` says how many; a million by default. Prints its figures (``-s``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import CONFIG, question

ROWS = int(os.environ.get("OUMI_FIREWORKS_SOAK_ROWS", 1_000_000))
BAD_EVERY = 10
OPTIONS = "      accept: {json: true}\n      on_reject: {temperature: +0.2}\n"

MOST_BYTES_A_ROW = 120
"""What a run may remember of a row: its digest, where its answers stand, how often it was rejected
come to some fifty bytes, and an array that grows is copied."""


class Ended(NamedTuple):
    """How a command ended: its code, its most memory in bytes, what it said, its seconds."""

    code: int
    memory: int
    said: str
    seconds: float


def run(emulator: Emulator, folder: Path, rows: int) -> Ended:
    """Run so many rows from file to file."""
    folder.mkdir()
    (folder / "c.yaml").write_text(CONFIG + OPTIONS)
    with (folder / "in.jsonl").open("w") as file:
        for row in range(rows):
            mark = "[[bad 1]]" if row % BAD_EVERY == 0 else ""
            file.write(
                json.dumps(question(f'{folder.name} {row} {mark}[[reply {{"row": {row}}}]]')) + "\n"
            )
    command = Path(sys.executable).with_name("oumi-fireworks")
    arguments = ["batch", "run", "-c", "c.yaml", "--input", "in.jsonl", "--output", "out.jsonl"]
    begun = time.monotonic()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [command, *arguments],
            cwd=folder,
            env={**os.environ, **emulator.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begun
    return Ended(process.returncode, usage.ru_maxrss * 1024, (folder / "said").read_text(), seconds)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_rejected_rows_take_no_more_memory(tmp_path: Path) -> None:
    few = ROWS // 10
    with Emulator(speed=2400) as emulator:
        small, large = (
            run(emulator, tmp_path / "small", few),
            run(emulator, tmp_path / "large", ROWS),
        )
        paid = emulator.ledger.rows
    for rows, ended in ((few, small), (ROWS, large)):
        assert ended.code == 0, ended.said
        assert f"{rows:,} rows, all answered." in ended.said
        assert f"Rejected on the way: {rows // BAD_EVERY:,} answers" in ended.said
        print(f"\n{rows:,} rows: {ended.memory / 1e6:.0f} MB, {ended.seconds:.0f} s")
    a_row = (large.memory - small.memory) / (ROWS - few)
    print(f"{a_row:.0f} bytes a row more")
    with (tmp_path / "large" / "out.jsonl").open() as file:
        for count, line in enumerate(file):
            assert json.loads(line)["messages"][-1]["content"] == f'{{"row": {count}}}'
    assert count == ROWS - 1
    assert paid == (ROWS + few) * (BAD_EVERY + 1) // BAD_EVERY
    assert a_row < MOST_BYTES_A_ROW
