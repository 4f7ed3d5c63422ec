"""Ray is an extra: what needs it says how to install it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oumi_fireworks.cli.commands import app

COMMAND = "from oumi_fireworks.cli import main; main()"
ARGUMENTS = ["batch", "run", "-c", "c.yaml", "--input", "in.parquet", "--output", "out", "--ray"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([COMMAND, *ARGUMENTS], 2), (["from oumi_fireworks.distributed import run"], 1)],
    ids=["command", "python"],
)
def test_what_needs_ray_says_how_to_install_it(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('none', name='ray')\n")
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert "pip install 'oumi-fireworks[ray]'" in done.stderr


@pytest.mark.parametrize("given", ["--report r.html", "--mode online"])
def test_flags_that_a_cluster_does_not_follow_are_refused(given: str) -> None:
    ended = CliRunner().invoke(app, [*ARGUMENTS, *given.split()])
    assert ended.exit_code == 2
    assert f"{given.split()[0]} and --ray do not go together" in " ".join(ended.output.split())


def test_flags_of_tables_are_followed_on_a_cluster() -> None:
    flags = ["--prompt", "{q}", "--output-format", "csv", "--skip-bad", "--rows-per-batch", "5"]
    flags += ["--max-cost", "1", "--price-in", "1", "--price-out", "2"]
    flags += ["--events", "e.jsonl", "--notify", "json://localhost"]
    ended = CliRunner().invoke(app, [*ARGUMENTS, *flags])
    assert "do not go together" not in ended.output
