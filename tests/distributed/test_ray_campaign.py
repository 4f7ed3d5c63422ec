"""A cluster under blows: workers and the driver are killed at random moments, again and again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oumi_fireworks.emulator import Emulator

pytest.importorskip("ray", reason="an extra: pip install 'oumi-fireworks[ray]'")

from tests.distributed.ray_cluster import BIN, Cluster, ray_cluster

ROWS = int(os.environ.get("OUMI_FIREWORKS_RAY_ROWS", "20000"))
BLOCKS = 200
KILLS = 30
DRIVERS = 0.1
"""Of the blows, the share that hits the driver."""

PAUSE = (4.0, 20.0)
"""Seconds between two blows, at the least and at the most."""

SEED = 20261127

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
    texts = [f"[[reply answer {n}]]" for n in range(ROWS)]
    pq.write_table(pa.table({"n": range(ROWS), "text": texts}), tmp_path / "in.parquet")
    (tmp_path / "config.yaml").write_text(CONFIG)
    begun = time.monotonic()
    with Emulator() as emulator:
        environment = {
            **os.environ,
            **emulator.env,
            "RAY_AUTH_MODE": "disabled",
            "OUMI_FIREWORKS_RESULTS_TIMEOUT": "10",
        }
        with ray_cluster(environment) as cluster:
            killed = _run_under_blows(tmp_path, environment, cluster)
        out = pq.read_table(tmp_path / "out")
        jobs, rows = len(emulator.jobs), emulator.ledger.rows
    seconds = time.monotonic() - begun
    print(json.dumps({"rows": ROWS, "seconds": round(seconds), "killed": killed}))
    assert len(killed) == KILLS
    assert {"driver", "worker"} <= {"driver" if each == "driver" else "worker" for each in killed}
    assert sorted(out["n"].to_pylist()) == list(range(ROWS))
    answers = zip(out["n"].to_pylist(), out["answer"].to_pylist(), strict=True)
    assert all(answer == f"answer {n}" for n, answer in answers)
    assert jobs == BLOCKS
    assert rows == ROWS


def _run_under_blows(folder: Path, environment: dict[str, str], cluster: Cluster) -> list[str]:
    """Run the command until it has come to its end; return what was killed meanwhile."""
    chance = random.Random(SEED)
    killed: list[str] = []
    command = [
        str(BIN / "oumi-fireworks"), "batch", "run", "-c", "config.yaml", "--input", "in.parquet",
        "--output", "out", "--rows-per-batch", str(ROWS // BLOCKS), "--ray", cluster.address,
    ]  # fmt: skip
    while True:
        with subprocess.Popen(command, cwd=folder, env=environment) as driver:
            if _beat(driver, cluster, chance, killed):
                continue
            assert driver.returncode == 0
            return killed


def _beat(
    driver: subprocess.Popen[bytes], cluster: Cluster, chance: random.Random, killed: list[str]
) -> bool:
    """Kill workers now and then while the driver runs; tell whether the driver was killed."""
    while True:
        wait = chance.uniform(*PAUSE) if len(killed) < KILLS else None
        try:
            driver.wait(wait)
        except subprocess.TimeoutExpired:
            if chance.random() < DRIVERS:
                driver.kill()
                killed.append("driver")
                return True
            if (worker := cluster.kill_worker(chance)) is not None:
                killed.append(worker)
        else:
            return False
