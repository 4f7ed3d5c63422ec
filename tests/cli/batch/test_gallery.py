"""The gallery in configs/: each task is checked and run by the commands that its file names."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import Command
from tests.imports import ROOT

TASKS = sorted((ROOT / "configs" / "gallery").iterdir())


def said(text: str, name: str) -> str:
    found = re.search(rf"^# {name}: +(.*)$", text, re.MULTILINE)
    assert found, name
    return found[1]


@pytest.mark.parametrize("task", TASKS, ids=lambda path: path.name)
def test_a_task_gives_what_it_says_at_the_cost_that_it_shows(
    task: Path,
    fireworks: Command,
    at_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    text = (task / "config.yaml").read_text("utf-8")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    check = shlex.split(said(text, "Cost"))[1:]
    costs = fireworks(*check, "--json")
    assert costs.code == 0, costs.err
    assert json.loads(costs.out)["bad_lines"] == 0
    assert re.search(r"^Cost +about .*in, at most .*out", fireworks(*check).out, re.MULTILINE)

    run = shlex.split(said(text, "Run"))[1:]
    ended = fireworks(*run, "--model.model_kwargs.fireworks.poll_interval=0.05")
    assert ended.code == 0, ended.err
    output = tmp_path / run[run.index("--output") + 1]
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert len(rows) == json.loads(costs.out)["rows"]
    assert len(at_emulator.jobs) == 1
    answers = [each["messages"][-1]["content"] for each in rows]
    gives, schema = said(text, "Gives"), _schema(yaml.safe_load(text))
    if schema is None:
        assert all(answers)
        assert "a conversation a line" in gives
    else:
        for each in (gives, *answers):
            jsonschema.validate(json.loads(each), schema)


def _schema(config: dict[str, Any]) -> dict[str, Any] | None:
    return config["generation"].get("guided_decoding", {}).get("json")  # type: ignore[no-any-return]
