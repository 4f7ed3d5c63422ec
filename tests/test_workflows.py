"""The workflows and the hooks: they are YAML, and what they run through make exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

pytestmark = pytest.mark.skipif(
    not WORKFLOWS, reason="an unpacked sdist: the workflows stay in the repository"
)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_jobs_and_runs_targets_of_the_makefile(workflow: Path) -> None:
    read = yaml.safe_load(workflow.read_text("utf-8"))
    assert read["permissions"] == {"contents": "read"}
    assert all("steps" in job or "uses" in job for job in read["jobs"].values())
    makefile = (ROOT / "Makefile").read_text("utf-8")
    steps = [step for job in read["jobs"].values() for step in job.get("steps", [])]
    for step in steps:
        for target in re.findall(
            r"^make (?:PYTHON=\S+ )?(\w+)$", step.get("run", ""), re.MULTILINE
        ):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_suite_runs_on_every_python_that_the_package_says_it_supports() -> None:
    read = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))
    said = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', _pyproject())
    assert read["jobs"]["suite"]["strategy"]["matrix"]["python"] == said


def test_a_hook_runs_what_make_runs() -> None:
    read = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    (repository,) = read["repos"]
    assert repository["repo"] == "local"
    commands = [hook["entry"].split()[0] for hook in repository["hooks"]]
    assert {Path(command).name for command in commands} == {"ruff", "mypy", "python"}


def _pyproject() -> str:
    return (ROOT / "pyproject.toml").read_text("utf-8")
