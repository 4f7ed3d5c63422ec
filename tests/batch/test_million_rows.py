"""Many rows through many SIGKILLs, under weather: run by `make soak`.

``OUMI_FIREWORKS_SOAK_ROWS`` says how many; a million by default. Prints its figures (``-s``).
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator, Lag, Weather
from tests.batch.nursery import Nursery
from tests.batch.support import body

ROWS = int(os.environ.get("OUMI_FIREWORKS_SOAK_ROWS", 1_000_000))
SHARDS = 8
FLAKY_EVERY = 1000
KILLS = 40
SKY = Weather(
    jobs=Lag(reads=1, probability=0.5),
    datasets=Lag(reads=1, probability=0.5),
    lists=Lag(reads=2),
    output_missing=0.3,
    files_partial=0.3,
    files_growing=0.3,
    files_shuffled=True,
)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_rows_through_kills_and_weather(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    with source.open("w") as file:
        for row in range(ROWS):
            mark = "[[flaky]]" if row % FLAKY_EVERY == 0 else ""
            file.write(json.dumps(body(row, mark)) + "\n")
    rng, kills, starts = random.Random(8), 0, 0
    begun = time.monotonic()
    # At this speed a job's 24 hours are 144 seconds, in which a busy machine does its rows.
    with Emulator(speed=600, weather=SKY) as emulator, Nursery() as nursery:
        order = {
            "connection": {
                "root_url": emulator.url,
                "api_key": emulator.api_key,
                "account": emulator.account,
            },
            "input": str(source),
            "output": str(tmp_path / "out.jsonl"),
            "folder": str(tmp_path / "out.jsonl.run"),
            "max_rows": -(-ROWS // SHARDS),
            "gone_after": 3.0,
        }
        longest = 2.0 + ROWS / 60_000
        while True:
            starts += 1
            after = rng.uniform(0, longest) if kills < KILLS else None
            status, error = nursery.run({**order, "kill_after": after})
            kills += status == -signal.SIGKILL
            if status == 0:
                break
            assert status == -signal.SIGKILL, error
        flaky = -(-ROWS // FLAKY_EVERY)
        paid = emulator.ledger.rows
        states = Counter(job.state for job in emulator.jobs)
    count = 0
    with (tmp_path / "out.jsonl").open() as file:
        for count, line in enumerate(file, 1):
            answered = json.loads(line)
            assert answered["row"] == count - 1
            assert answered["answer"].startswith(f"row {answered['row']} ")
    print(
        f"\n{ROWS:,} rows, {states.total()} jobs, {kills} kills in {starts} starts, "
        f"{time.monotonic() - begun:.0f} s; paid {paid:,} rows"
    )
    assert count == ROWS
    assert states == {"JOB_STATE_COMPLETED": SHARDS + 1}
    assert paid == ROWS + flaky
