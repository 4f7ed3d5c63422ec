"""The pipelines in examples/, in the schedulers that they are for, against the emulator.

Each runs where its scheduler's command is found; `make soak` runs them. A try that fails, or a
second run of the same rows, makes no second job.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]

from oumi_fireworks.cli.schemas import schema_of
from oumi_fireworks.emulator import Emulator, Fault
from tests.imports import ROOT

EXAMPLES = ROOT / "examples"
COMMAND = Path(sys.executable).with_name("oumi-fireworks")

LOST_SIGHT = Fault(kind="status", status=401, method="GET", path="batchInferenceJobs/", times=1)
"""A refusal that ends a run whose job has been made."""


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; it is no dependency of this package")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the rows and their configuration."""
    for name in ("label.yaml", "tickets.csv"):
        shutil.copy(EXAMPLES / name, tmp_path)
    return tmp_path


def run(folder: Path, emulator: Emulator, *words: object, **environ: str) -> int:
    """Run a program of a scheduler, with the command line of this environment behind its own."""
    environ = {
        **os.environ,
        **emulator.env,
        "PATH": f"{os.environ['PATH']}{os.pathsep}{COMMAND.parent}",
        "OUMI_FIREWORKS": str(COMMAND),
        "LABEL_TICKETS": str(folder),
        "LABEL_POLL": "0.2",
        "DO_NOT_TRACK": "1",
        **environ,
    }
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    sys.stderr.write(done.stdout + done.stderr)
    return done.returncode


def assert_labelled_once(folder: Path, emulator: Emulator) -> None:
    rows = [json.loads(line) for line in (folder / "labelled.jsonl").read_text().splitlines()]
    assert [each["conversation_id"] for each in rows] == ["t1", "t2", "t3"]
    assert len(emulator.jobs) == 1


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_airflow(folder: Path, emulator: Emulator) -> None:
    airflow = program("airflow")
    home = folder / "airflow"
    (home / "dags").mkdir(parents=True)
    for each in ("fireworks_batch.py", "label_tickets.py"):
        shutil.copy(EXAMPLES / "airflow" / each, home / "dags")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "PYTHONPATH": str(home / "dags"),
    }
    assert run(folder, emulator, airflow, "db", "migrate", **settings) == 0
    for _ in range(2):  # of the same day, so of the same key
        words = ["dags", "test", "label_tickets", "2026-11-27"]
        assert run(folder, emulator, airflow, *words, **settings) == 0
        assert_labelled_once(folder, emulator)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_dagster(folder: Path, emulator: Emulator) -> None:
    dagster = program("dagster")
    emulator.faults.add(LOST_SIGHT)  # the retry policy tries again
    asset = ["asset", "materialize", "--select", "labelled_tickets", "-f"]
    home = {"DAGSTER_HOME": str(folder)}
    assert run(folder, emulator, dagster, *asset, EXAMPLES / "dagster" / "tickets.py", **home) == 0
    assert_labelled_once(folder, emulator)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_dvc(folder: Path, emulator: Emulator) -> None:
    dvc = program("dvc")
    shutil.copy(EXAMPLES / "dvc" / "dvc.yaml", folder)
    assert run(folder, emulator, dvc, "init", "--no-scm") == 0
    emulator.faults.add(LOST_SIGHT)
    assert run(folder, emulator, dvc, "repro") != 0
    assert run(folder, emulator, dvc, "repro") == 0
    assert_labelled_once(folder, emulator)


def test_they_are_python_and_yaml_and_their_configuration_follows_the_schema() -> None:
    for path in EXAMPLES.rglob("*.py"):
        ast.parse(path.read_text("utf-8"))
    config = yaml.safe_load((EXAMPLES / "label.yaml").read_text("utf-8"))
    jsonschema.validate(config, schema_of("config"))
    (stage,) = yaml.safe_load((EXAMPLES / "dvc" / "dvc.yaml").read_text("utf-8"))["stages"].values()
    assert all((EXAMPLES / name).exists() for name in stage["deps"])
