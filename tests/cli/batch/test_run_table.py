"""``run_table``: from file to file, from Python."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oumi.core.configs import InferenceConfig, ModelParams

from oumi_fireworks import ConfigurationError, OptionError, TableRun, run_table
from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import MODEL

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
    assert done == TableRun(answered=2, rejected=0, failed=0, bad_rows=1, output="out.parquet")
    assert not done.is_complete
    assert pq.read_table("out.parquet")["outcome"].to_pylist()[2] == "bad row"


def test_a_table_is_run_online_inside_of_a_loop(source: str, at_emulator: Emulator) -> None:
    async def run() -> TableRun:
        return run_table(
            [source], Path("out.csv"), MAPPING, prompt="{text}", skip_bad=True, mode="online"
        )

    assert asyncio.run(run()).answered == 2
    assert not at_emulator.ledger.jobs


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
