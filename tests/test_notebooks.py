"""The notebooks in examples/notebooks: every cell runs, against the emulator, and draws."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from oumi_fireworks.emulator import Emulator
from tests.imports import ROOT

NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


@pytest.fixture
def place(
    at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Emulator]:
    """A folder and an environment of their own, and pictures that go to no screen."""
    monkeypatch.chdir(tmp_path)
    before = mpl.get_backend()
    mpl.use("Agg")
    yield at_emulator
    plt.close("all")
    mpl.use(before)


def test_there_are_four() -> None:
    assert len(NOTEBOOKS) == 4


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive:UserWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs_and_a_picture_comes_of_it(path: Path, place: Emulator) -> None:
    notebook = json.loads(path.read_text("utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), path.name, "exec"), names)
    assert plt.get_fignums()
    assert place.requests_to("POST", "chat/completions$") or place.jobs
    shown = [out for cell in notebook["cells"] for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in shown), "it was saved without pictures"
