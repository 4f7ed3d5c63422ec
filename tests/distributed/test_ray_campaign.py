"""A cluster under blows: workers and the driver are killed at random moments, again and again."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oumi_fireworks.emulator import Emulator

pytest.importorskip("ray", reason="an extra: pip install 'oumi-fireworks[ray]'")

from tests.distributed.blows import DRIVER, Blows
from tests.distributed.ray_cluster import BIN, ray_cluster

ROWS = int(os.environ.get("OUMI_FIREWORKS_RAY_ROWS", "20000"))
BLOCKS = 200
FILES = 20
KILLS = 30
SEED = 20261127

STEP = (10, 110)
"""Requests to the emulator between two blows, of those that are no looks at a job: a block takes
about ten."""

CONFIG = """\
engine: FIREWORKS
model:
  model_name: accounts/fireworks/models/toy
  model_kwargs: {fireworks: {poll_interval: 1, input: {prompt: "{text}"}}}
generation: {max_new_tokens: 20}
"""


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_each_row_is_answered_once_and_each_block_paid_once_whatever_dies(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(FILES):
        part = range(ROWS * number // FILES, ROWS * (number + 1) // FILES)
        texts = [f"[[reply answer {n}]]" for n in part]
        pq.write_table(pa.table({"n": part, "text": texts}), tmp_path / f"in/{number:03}.parquet")
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = [
        str(BIN / "oumi-fireworks"), "batch", "run", "-c", "config.yaml", "--input", "in/*.parquet",
        "--output", "out", "--rows-per-batch", str(ROWS // BLOCKS), "--ray",
    ]  # fmt: skip
    begun = time.monotonic()
    with Emulator() as emulator:
        environment = {
            **os.environ,
            **emulator.env,
            "RAY_AUTH_MODE": "disabled",
            "OUMI_FIREWORKS_RESULTS_TIMEOUT": "10",
        }

        def progress() -> int:
            return len(emulator.requests_to(path="datasets|storage"))

        blows = Blows(random.Random(SEED), KILLS, progress, STEP)
        with ray_cluster(environment) as cluster:
            code = blows.run([*command, cluster.address], tmp_path, environment, cluster)
        out = pq.read_table(tmp_path / "out")
        jobs, rows = len(emulator.jobs), emulator.ledger.rows
    seconds = round(time.monotonic() - begun)
    print(json.dumps({"rows": ROWS, "seconds": seconds, "killed": Counter(blows.killed)}))
    assert code == 0
    assert len(blows.killed) == KILLS
    assert 0 < blows.killed.count(DRIVER) < KILLS
    assert sorted(out["n"].to_pylist()) == list(range(ROWS))
    answers = zip(out["n"].to_pylist(), out["answer"].to_pylist(), strict=True)
    assert all(answer == f"answer {n}" for n, answer in answers)
    assert jobs == BLOCKS
    assert rows == ROWS
