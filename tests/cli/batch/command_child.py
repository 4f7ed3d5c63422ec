"""Processes that run ``oumi-fireworks``, to be killed at any moment: see ``tests/batch/mortal.py``.

An order is ``{"arguments": [...], "folder": where it runs, "env": {name: value}}``. What the
command says goes into the file ``said`` in that folder.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import oumi_fireworks.cli.batch.online
import oumi_fireworks.cli.batch.run  # noqa: F401 - loaded once, not by each child
from oumi_fireworks.cli import main
from tests.batch.mortal import serve


def run_command(order: dict[str, Any]) -> int:
    """Run it; return its exit code."""
    os.environ.update(order["env"])
    os.chdir(order["folder"])
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(said, sys.stdout.fileno())
    os.dup2(said, sys.stderr.fileno())
    sys.argv = ["oumi-fireworks", *order["arguments"]]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    raise AssertionError("the command has no exit code")


if __name__ == "__main__":
    serve(run_command)
