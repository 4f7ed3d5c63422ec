"""What the light commands load: whoever looks at a job does not pay for torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator

RUN_AND_TELL = """
import json, sys
from oumi_fireworks.cli import main
sys.argv[0] = "oumi-fireworks"
try:
    main()
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""

HEAVY = {"oumi", "torch", "transformers", "pydantic", "numpy", "pandas", "omegaconf"}


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "batch --help",
        "batch run --help",
        "batch list",
        "batch status oumi-aaaaaaaaaaaaaaaa",
        "batch cancel oumi-aaaaaaaaaaaaaaaa",
        "batch clean",
        "models",
    ],
)
def test_a_light_command_loads_nothing_heavy(emulator: Emulator, arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_TELL, *arguments.split()],
        capture_output=True,
        text=True,
        env={**os.environ, **emulator.env},
        check=True,
    )
    code, loaded = json.loads(done.stderr.splitlines()[-1])
    assert code == ("aaaa" in arguments), done.stderr
    assert not HEAVY & set(loaded)
    if "--help" in arguments:
        assert "aiohttp" not in loaded


def test_the_shell_completes_commands_and_options() -> None:
    def completed(typed: str) -> str:
        return subprocess.run(
            [Path(sys.executable).with_name("oumi-fireworks")],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "_OUMI_FIREWORKS_COMPLETE": "complete_zsh",
                "_TYPER_COMPLETE_ARGS": typed,
            },
        ).stdout

    assert "status" in completed("oumi-fireworks batch st")
    assert "--older-than" in completed("oumi-fireworks batch clean --o")
