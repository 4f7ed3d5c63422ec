"""``run_table``: from file to file, from Python."""

from __future__ import annotations

import asyncio
from inspect import signature
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oumi.core.configs import InferenceConfig, ModelParams
from typer.main import get_command

from oumi_fireworks import ConfigurationError, KeyTakenError, OptionError, TableRun, run_table
from oumi_fireworks.cli.batch.commands import app
from oumi_fireworks.cli.batch.table_flags import ROWS_IN_AND_OUT
from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import MODEL, read_lines

OPTIONS = {"poll_interval": 0.05}
MAPPING = {
    "engine": "FIREWORKS",
    "model": {"model_name": MODEL, "model_kwargs": {"fireworks": OPTIONS}},
}
ROWS = {"text": ["a", "b", None]}


@pytest.fixture
def source(at_emulator: Emulator) -> str:
    """A table, in the folder of the test."""
    pq.write_table(pa.table(ROWS), "in.parquet")
    return "in.parquet"


@pytest.mark.parametrize("kind", ["file", "mapping", "oumi"])
def test_a_table_is_run_whatever_the_configuration_is(source: str, config: Path, kind: str) -> None:
    oumi = InferenceConfig(model=ModelParams(model_name=MODEL, model_kwargs={"fireworks": OPTIONS}))
    given: Any = {"file": config, "mapping": MAPPING, "oumi": oumi}[kind]
    done = run_table(source, "out.parquet", given, prompt_column="text", skip_bad=True)
    assert done == TableRun(
        answered=2, rejected=0, failed=0, over_budget=0, bad_rows=1, output="out.parquet"
    )
    assert not done.is_complete
    assert pq.read_table("out.parquet")["outcome"].to_pylist()[2] == "bad row"


def test_a_table_is_run_online_inside_of_a_loop(source: str, at_emulator: Emulator) -> None:
    async def run() -> TableRun:
        return run_table(
            [source], Path("out.csv"), MAPPING, prompt="{text}", skip_bad=True, mode="online"
        )

    assert asyncio.run(run()).answered == 2
    assert not at_emulator.ledger.jobs


def test_it_takes_what_the_command_line_takes() -> None:
    """Whatever `batch run` has, but the cluster's own, is a parameter here or an option."""
    flags = {each.name for each in get_command(app).commands["run"].params}  # type: ignore[attr-defined]
    others = {"help", "config", "inputs", "output", "ray", "rows_per_batch", "max_batches"}
    prices = {"price_in", "price_cached", "price_out"}
    taken = set(signature(run_table).parameters) - {"source", "sink", "config", "options"}
    options = {option.replace(".", "_") for option in ROWS_IN_AND_OUT}
    assert flags - others - prices - options == taken - {"price"}


def test_a_key_a_budget_a_report_and_events_are_as_on_the_command_line(
    source: str, at_emulator: Emulator
) -> None:
    told: dict[str, Any] = {"prompt": "{text}", "skip_bad": True, "key": "reviews/1"}
    told |= {"price": {"input": 1, "output": 1}, "report": "page.html", "events": Path("e.jsonl")}
    assert run_table(source, "out.parquet", MAPPING, **told).answered == 2
    assert run_table(source, "other.parquet", MAPPING, **told).answered == 2
    assert len(at_emulator.jobs) == 1
    assert Path("page.html").read_text().startswith("<!doctype html>")
    assert [line["event"] for line in read_lines(Path("e.jsonl"))][-1] == "run_ended"
    assert pq.read_table("out.parquet")["cost"].to_pylist()[0] > 0
    with pytest.raises(KeyTakenError, match=r"reviews/1.*stands for"):
        run_table(source, "third.csv", MAPPING, **told | {"prompt": "Say {text}"})


def test_rows_over_the_budget_are_counted(source: str, at_emulator: Emulator) -> None:
    worst = {"input": 0, "output": 1e6 / 1024}  # a dollar an answer
    done = run_table(
        *(source, "out.csv", MAPPING), mode="online", prompt="{text}", skip_bad=True,
        price=worst, max_cost=0.5, cache="answers", dedupe="off",
    )  # fmt: skip
    assert (done.answered, done.over_budget) == (0, 2)
    assert not done.is_complete
    assert Path("answers").is_dir()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"price": {"in": 1}}, "price"),
        ({"max_cost": -1}, "max_cost"),
        ({"cache": "answers", "cache_max_age": "old"}, "cache_max_age"),
        ({"mode": "online", "key": "k"}, "A key names a batch"),
    ],
)
def test_a_parameter_that_cannot_be_is_said(
    source: str, at_emulator: Emulator, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run_table(source, "out.csv", MAPPING, prompt="{text}", **wrong)
    assert not at_emulator.requests


def test_what_cannot_be_meant_is_an_error_of_the_tree(source: str) -> None:
    with pytest.raises(OptionError, match=r"no option 'promt' for a table\. Did you mean 'prompt'"):
        run_table(source, "out.csv", MAPPING, promt="x")
    with pytest.raises(ConfigurationError, match="There is no column 'txt'"):
        run_table(source, "out.csv", MAPPING, prompt="{txt}")
    Path("out.csv").touch()
    with pytest.raises(ConfigurationError, match="exists already"):
        run_table(source, "out.csv", MAPPING, prompt="{text}")
    with pytest.raises(ConfigurationError, match="a YAML file, a mapping or an InferenceConfig"):
        run_table(source, "out.csv", 7, prompt="{text}")
