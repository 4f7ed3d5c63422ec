"""The notebooks in examples/notebooks: every cell runs in a kernel, on the emulator, and draws.

They share one kernel, emptied between them, since Oumi takes seconds to load.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from oumi_fireworks.emulator import Emulator
from tests.imports import ROOT

NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))

CELL_SECONDS = 240
"""How long a cell may take; the first one that loads Oumi takes long on a busy machine."""

pytestmark = pytest.mark.timeout(2 * CELL_SECONDS)

TOO_LONG = {"ename": "CellTimeoutError", "evalue": f"over {CELL_SECONDS} s", "traceback": []}


@pytest.fixture(scope="module")
def kernel() -> Iterator[NotebookClient]:
    """A kernel as Jupyter starts it, without the settings of who runs the tests."""
    client = NotebookClient(
        new_notebook(), timeout=CELL_SECONDS, startup_timeout=CELL_SECONDS,
        interrupt_on_timeout=True, error_on_timeout=TOO_LONG,
    )  # fmt: skip
    environ = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    with tempfile.TemporaryDirectory() as folder:  # its path is short, as those of sockets must be
        manager = client.create_kernel_manager()
        # Ports are chosen before the kernel takes them: another test may be faster.
        manager.transport, manager.ip = "ipc", f"{folder}/kernel"
        with client.setup_kernel(env={**environ, "IPYTHONDIR": folder}):
            yield client


def run(kernel: NotebookClient, notebook: nbformat.NotebookNode, setup: str = "") -> None:
    """Run the cells in the emptied kernel, after some lines of ours; they get new outputs.

    Raises:
        CellExecutionError: A cell failed; it has the cell and the traceback.
    """
    notebook.cells.insert(0, new_code_cell(f"%reset -f\n{setup}"))
    kernel.nb = notebook
    kernel.reset_execution_trackers()
    for index, cell in enumerate(notebook.cells):
        kernel.execute_cell(cell, index)


def pictures(notebook: nbformat.NotebookNode) -> int:
    """Count the pictures that its cells have shown."""
    shown = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return sum("image/png" in out.get("data", {}) for out in shown)


def test_there_are_four() -> None:
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs_and_shows_the_pictures_that_it_was_saved_with(
    path: Path, kernel: NotebookClient, emulator: Emulator, tmp_path: Path
) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    saved = pictures(notebook)
    assert saved, "it was saved without pictures"
    there = f"import os; os.chdir({str(tmp_path)!r}); os.environ.update({dict(emulator.env)!r})"
    run(kernel, notebook, f"{there}; del os")
    assert pictures(notebook) == saved
    assert emulator.requests_to("POST", "chat/completions$") or emulator.jobs


def test_a_cell_that_fails_is_shown_with_its_traceback_and_leaves_nothing_behind(
    kernel: NotebookClient,
) -> None:
    failing = new_code_cell("mine = 1\ndef divide():\n    return mine / 0\ndivide()")
    with pytest.raises(CellExecutionError) as caught:
        run(kernel, new_notebook(cells=[failing]))
    shown = re.sub(r"\x1b\[[\d;]*m", "", str(caught.value))
    assert re.search(r"in divide\(\).*ZeroDivisionError: division by zero", shown, re.DOTALL)
    with pytest.raises(CellExecutionError, match="NameError"):
        run(kernel, new_notebook(cells=[new_code_cell("mine")]))
