"""The emulator in an image and on GitHub's runners: what they need, and the scripts they run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"


def needed() -> set[str]:
    """The distributions in the image: those that its list names, and what they need."""
    listed = (ROOT / "docker" / "emulator.txt").read_text("utf-8").splitlines()
    waiting = [line for line in listed if line and not line.startswith("#")]
    found: set[str] = set()
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            asked = map(Requirement, distribution(name).requires or [])
            waiting += [
                each.name
                for each in asked
                if each.marker is None or each.marker.evaluate({"extra": ""})
            ]
    return found


ASK = """
import json, os, urllib.request
url = os.environ["FIREWORKS_BASE_URL"] + "/inference/v1/chat/completions"
body = {"model": "accounts/fireworks/models/a", "messages": [{"role": "user", "content": "hi"}]}
headers = {
    "Authorization": "Bearer " + os.environ["FIREWORKS_API_KEY"], "Content-Type": "application/json"
}
request = urllib.request.Request(url, json.dumps(body).encode(), headers)
print(json.load(urllib.request.urlopen(request))["choices"][0]["finish_reason"])
"""


def test_it_runs_with_the_distributions_of_the_image_alone(tmp_path: Path) -> None:
    for name in needed():
        for file in distribution(name).files or []:
            top = tmp_path / file.parts[0]
            if file.parts[0] != ".." and not top.exists():
                top.symlink_to(str(distribution(name).locate_file(file.parts[0])))
    run_main = "from oumi_fireworks.cli import main; main()"
    done = subprocess.run(
        # -S: without this environment's packages
        [sys.executable, "-S", "-c", run_main, "emulator", "exec", "--", sys.executable, "-c", ASK],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "stop\n"), done.stderr
    assert not {"oumi", "torch", "pyarrow", "openai"} & needed()


def test_the_image_is_made_of_files_that_there_are_and_that_docker_may_see() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    visible = (ROOT / ".dockerignore").read_text("utf-8").split()
    copied = [
        name
        for line in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE)
        for name in line.split()
    ]
    assert "oumi_fireworks" in copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name.partition('/')[0]}" in visible, name
    packaged = (ROOT / "pyproject.toml").read_text("utf-8")
    for name in re.findall(r'"(_?oumi_fireworks_\w+\.\w+)"', packaged):
        assert name in copied


def step(number: int) -> str:
    return str(yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"][number]["run"])


def act(script: str, runner: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a step of the action as a runner does."""
    environ = {
        "RUNNER_TEMP": str(runner),
        "GITHUB_ENV": str(runner / "github-env"),
        "GITHUB_OUTPUT": str(runner / "github-output"),
        "GITHUB_ACTION_PATH": str(ROOT),
        "PATH": os.environ["PATH"],
        **environ,
    }
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(shell, env=environ, capture_output=True, text=True, timeout=100)


def variables(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines())


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Path]:
    """A runner on which the action has installed the emulator; what it starts is ended."""
    (tmp_path / "fireworks-emulator").mkdir()
    (tmp_path / "fireworks-emulator" / "bin").symlink_to(Path(sys.executable).parent)
    yield tmp_path
    log = tmp_path / "pid"
    if log.exists():
        os.kill(int(log.read_text()), signal.SIGTERM)


NOTE_PID = '\necho $! >"$RUNNER_TEMP/pid"\n'


def test_the_action_starts_an_emulator_for_the_steps_that_follow(runner: Path) -> None:
    arguments = "--account my-team --fault 'kind=status status=503 path=/nothing' --quiet"
    done = act(step(1) + NOTE_PID, runner, ARGUMENTS=arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found = variables(runner / "github-env")
    assert found["FIREWORKS_ACCOUNT_ID"] == "my-team"
    assert variables(runner / "github-output") == {"url": found["FIREWORKS_BASE_URL"]}
    request = urllib.request.Request(
        f"{found['FIREWORKS_BASE_URL']}/v1/accounts/my-team",
        headers={"Authorization": f"Bearer {found['FIREWORKS_API_KEY']}"},
    )
    assert urllib.request.urlopen(request).status == 200


def test_the_action_fails_with_what_the_emulator_says(runner: Path) -> None:
    done = act(step(1), runner, ARGUMENTS="--limits no-such-limits")
    assert done.returncode == 1
    assert "no-such-limits" in done.stdout
    assert not (runner / "github-env").exists()


@pytest.mark.soak
def test_the_action_installs_what_it_needs(tmp_path: Path) -> None:
    done = act(step(0), tmp_path, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    command = tmp_path / "fireworks-emulator" / "bin" / "oumi-fireworks"
    ran = subprocess.run(
        [command, "emulator", "exec", "--", sys.executable, "-c", ASK],
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "stop\n"), ran.stderr
