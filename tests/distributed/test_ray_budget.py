"""A budget over a whole cluster, also under blows; the emulator's ledger is the judge."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from oumi_fireworks.cli.commands import app
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.money import Budget, Usage

pytest.importorskip("ray", reason="an extra: pip install 'oumi-fireworks[ray]'")

import ray

from oumi_fireworks.distributed import run, stages
from oumi_fireworks.distributed.settings import load_settings
from tests.distributed.blows import DRIVER, Blows
from tests.distributed.ray_cluster import BIN, ray_cluster

CONFIG = """\
engine: FIREWORKS
model:
  model_name: accounts/fireworks/models/toy
  model_kwargs:
    fireworks:
      {poll_interval: 0.5, input: {prompt: "{text}"}, price: {input: 0.1, output: 10}, max_cost: 1}
generation: {max_new_tokens: 20}
"""
"""Answers are as long as they may be, so that they cost most of what was set aside for them."""


class Bill:
    """What a run may cost, and costs, at an emulator; its blocks are all of the same size.

    Args:
        folder: Where the input and the configuration are put.
        rows: How many rows.
        blocks: How many blocks.
    """

    def __init__(self, folder: Path, rows: int, blocks: int) -> None:
        self.folder, self.rows, self.blocks = folder, rows, blocks
        table = pa.table(
            {"n": range(rows), "text": [f"[[words 30]] row {n:06}" for n in range(rows)]}
        )
        pq.write_table(table, folder / "in.parquet")
        (folder / "config.yaml").write_text(CONFIG)
        settings = load_settings(folder / "config.yaml")
        assert settings.budget is not None
        self.budget: Budget = settings.budget
        looked = stages.look(settings, table.slice(0, rows // blocks), "a block")
        self.most = self.budget.at_most(looked.most)

    def command(self, address: str, blocks: float) -> list[str]:
        """Return the command, with what so many blocks can cost at the most as its bound."""
        return [
            str(BIN / "oumi-fireworks"), "batch", "run", "-c", "config.yaml", "--input",
            "in.parquet", "--output", "out", "--rows-per-batch", str(self.rows // self.blocks),
            "--max-cost", str(self.most * Decimal(blocks)), "--ray", address,
        ]  # fmt: skip

    def exposure(self, emulator: Emulator) -> Decimal:
        """Return what the jobs that have ended have cost, and the most that the others can."""
        ended = {job.id for job in emulator.jobs if job.state == "JOB_STATE_COMPLETED"}
        spent = sum(
            (
                self.budget.at_most(Usage(job.input_tokens, job.output_tokens))
                for job in emulator.ledger.jobs
                if job.job in ended
            ),
            Decimal(),
        )
        return spent + self.most * (len(emulator.jobs) - len(ended))

    def outcomes(self) -> Counter[str]:
        """Return how many rows of the output have which outcome; each row is there once."""
        out = pq.read_table(self.folder / "out")
        assert sorted(out["n"].to_pylist()) == list(range(self.rows))
        return Counter(out["outcome"].to_pylist())


def surroundings(emulator: Emulator) -> dict[str, str]:
    return {
        **os.environ,
        **emulator.env,
        "RAY_AUTH_MODE": "disabled",
        "OUMI_FIREWORKS_RESULTS_TIMEOUT": "10",
    }


def note(seen: list[Decimal], bill: Bill, emulator: Emulator) -> None:
    seen.append(bill.exposure(emulator))


@contextmanager
def closing_ray() -> Iterator[None]:
    """Leave the cluster that a command of this process has joined."""
    try:
        yield
    finally:
        ray.shutdown()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_higher_bound_goes_on_and_pays_for_nothing_twice(
    at_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bill, emulator = Bill(tmp_path, rows=60, blocks=6), at_emulator
    with ray_cluster(surroundings(emulator)) as cluster, closing_ray():

        def run(blocks: float, *more: str) -> int:
            _, *arguments = bill.command(cluster.address, blocks)
            return CliRunner().invoke(app, [*arguments, *more]).exit_code

        assert run(0.9) == 3
        assert not emulator.jobs
        assert run(2.5) == 3
        begun = len(emulator.jobs)
        assert bill.exposure(emulator) <= bill.most * Decimal("2.5")
        assert bill.outcomes() == {"answered": 10 * begun, "over budget": 60 - 10 * begun}
        assert 0 < begun < 6
        assert not (tmp_path / "out" / "_SUCCESS").exists()
        assert run(7, "--events", "events.jsonl") == 0
        assert bill.outcomes() == {"answered": 60}
        assert (tmp_path / "out" / "_SUCCESS").exists()
        assert len(emulator.jobs) == 6
        assert emulator.ledger.rows == 60
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    kinds = Counter(event["event"] for event in events)
    assert kinds["batch_under_way"] == kinds["batch_ended"] == 6 - begun
    assert events[-1]["event"] == "run_ended"
    assert events[-1]["outcome"] == "answered"
    assert events[-1]["rows"]["answered"] == 60


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_dataset_without_rows_comes_out_with_all_columns_and_nothing_is_sent(
    at_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bill = Bill(tmp_path, rows=1, blocks=1)
    empty = pa.schema({"n": pa.int64(), "text": pa.string()}).empty_table()
    pq.write_table(empty, tmp_path / "in.parquet")
    with ray_cluster(surroundings(at_emulator)) as cluster, closing_ray():
        _, *arguments = bill.command(cluster.address, 1)
        assert CliRunner().invoke(app, arguments).exit_code == 0
        found = run(ray.data.from_arrow(empty), tmp_path / "config.yaml")
        assert found.count() == 0
        names = found.schema().names
    assert names[:2] == ["n", "text"]
    assert "answer" in names
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert not at_emulator.jobs
    assert not at_emulator.datasets


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_what_was_spent_and_is_under_way_never_exceeds_the_bound_whatever_dies(
    tmp_path: Path,
) -> None:
    bill = Bill(tmp_path, rows=4_000, blocks=40)
    chance, killed = random.Random(20261127), list[str]()
    with Emulator() as emulator, ray_cluster(surroundings(emulator)) as cluster:
        for blocks, code in ((8, 3), (20, 3), (41, 0)):
            bound = bill.most * blocks
            seen = list[Decimal]()
            blows = Blows(
                chance,
                most=8,
                progress=lambda: len(emulator.requests_to(path="datasets|storage")),
                step=(2, 20),
                watch=partial(note, seen, bill, emulator),
            )
            command = bill.command(cluster.address, blocks)
            assert blows.run(command, tmp_path, surroundings(emulator), cluster) == code
            assert max(seen) <= bound
            assert bill.exposure(emulator) <= bound
            assert max(seen) > bound * Decimal("0.7")
            killed += blows.killed
            answered = 100 * len(emulator.jobs)
            assert bill.outcomes()["answered"] == answered == emulator.ledger.rows
    assert answered == 4_000
    assert len(emulator.jobs) == 40
    assert 0 < killed.count(DRIVER) < len(killed)
    print(Counter(killed))
