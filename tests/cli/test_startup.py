"""What the light commands load: whoever looks at a job does not pay for torch."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oumi_fireworks import cli
from oumi_fireworks.emulator import Emulator

CLI = Path(cli.__file__).parent

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

#: What no batch command may load, not even one that reads conversations.
NEVER = {"torch", "pandas", "datasets", "oumi.core.configs", "oumi.inference"}
HEAVY = NEVER | {"oumi", "transformers", "pydantic", "numpy", "omegaconf"}


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
    told_by_prices = {"pydantic"} if arguments == "models" else set()  # genai-prices needs it
    assert HEAVY & set(loaded) == told_by_prices
    if "--help" in arguments:
        assert not {"aiohttp", "asyncio"} & set(loaded)


CONFIG = """\
engine: FIREWORKS
model:
  model_name: accounts/fireworks/models/toy-chat
  model_kwargs: {fireworks: {poll_interval: 0.05}}
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("batch check -c config.yaml --input in.jsonl", 0),
        ("batch submit -c config.yaml --input in.jsonl", 0),
        ("batch run -c config.yaml --input in.jsonl --output out.jsonl", 0),
        ("batch results oumi-aaaaaaaaaaaaaaaa --input in.jsonl", 1),
    ],
)
def test_a_command_that_reads_conversations_starts_light_and_says_at_once_what_it_does(
    emulator: Emulator, tmp_path: Path, arguments: str, code: int
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "in.jsonl").write_text('{"messages": [{"role": "user", "content": "hello"}]}\n')
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_TELL, *arguments.split()],
        capture_output=True,
        text=True,
        env={**os.environ, **emulator.env},
        cwd=tmp_path,
        check=True,
    )
    said = done.stderr.splitlines()
    ended, loaded = json.loads(said[-1])
    assert ended == code, done.stderr
    assert said[0] == "Loading ..."
    assert "oumi.core.types.conversation" in loaded
    assert not NEVER & set(loaded)


def test_only_the_commands_import_late() -> None:
    """What a verb needs stands at the top of its module."""
    late = {
        str(path.relative_to(CLI))
        for path in CLI.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert late <= {
        "__init__.py",
        "commands.py",
        "batch/commands.py",
        "emulator/commands.py",
        "ending.py",  # rich, for an error
        "checks.py",  # doctor looks whether the packages are there
    }


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
