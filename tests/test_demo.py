"""The demo: it runs `oumi infer` and a batch, and says so in a narrow terminal."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.conftest import lead_to

DEMO = Path(__file__).parent.parent / "demo" / "demo.py"


def test_demo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(speed=100) as emulator:  # slow enough to see each state
        lead_to(emulator, monkeypatch)
        runpy.run_path(str(DEMO), run_name="__main__")
        assert len(emulator.requests_to("POST", r"/chat/completions$")) == 6
        (job,) = emulator.jobs
    shown = capsys.readouterr().out
    assert shown.count(job.id) == 3
    assert shown.count("assistant: This is the emulator's toy model") == 2
    for state in ("RUNNING", "COMPLETED"):
        assert f"JOB_STATE_{state}" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_without_a_server_it_fails_and_says_how_to_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREWORKS_BASE_URL", raising=False)
    with pytest.raises(SystemExit, match="make demo"):
        runpy.run_path(str(DEMO), run_name="__main__")
