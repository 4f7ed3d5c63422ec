"""The root command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import oumi_fireworks
from oumi_fireworks.cli.commands import app

SCRIPT = Path(sys.executable).with_name("oumi-fireworks")


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], env=environ, capture_output=True, text=True, check=False
    )


def test_the_console_script_tells_its_version() -> None:
    assert run("--version").stdout == f"oumi-fireworks {oumi_fireworks.__version__}\n"


def test_help_names_every_command_and_the_first_steps() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for name in ("doctor", "models", "batch", "emulator", "oumi-fireworks emulator exec -- oumi"):
        assert name in result.output


@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"]])
def test_wrong_use_ends_with_two(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_the_shell_completes_commands() -> None:
    asked = {"_OUMI_FIREWORKS_COMPLETE": "complete_bash", "COMP_WORDS": "oumi-fireworks do"}
    assert run(**asked, COMP_CWORD="1").stdout.split() == ["doctor"]
