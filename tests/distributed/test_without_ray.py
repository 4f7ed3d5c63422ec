"""Ray is an extra: what needs it says how to install it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_flags_that_mean_nothing_on_a_cluster_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *ARGUMENTS, "--key", "mine"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--key and --ray do not go together" in done.stderr
