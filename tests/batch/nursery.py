"""Children that can be killed, each of which carries out an order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

_BATCH = Path(__file__).with_name("crash_child.py")


class Nursery:
    """Starts children, one at a time; each start costs milliseconds.

    Args:
        script: What they run (see ``mortal.py``); by default a batch, from its input to its output.
    """

    def __init__(self, script: Path = _BATCH) -> None:
        self._script = script

    def __enter__(self) -> Self:
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, str(self._script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, order: dict[str, Any]) -> int:
        """Start a child; return its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._next()["pid"])

    def wait(self) -> tuple[int, dict[str, str]]:
        """Wait for the child's end; return its exit code, or minus the signal, and its error."""
        error = {}
        while "status" not in (said := self._next()):
            error = said
        return said["status"], error

    def run(self, order: dict[str, Any]) -> tuple[int, dict[str, str]]:
        """Start a child and wait for its end."""
        self.start(order)
        return self.wait()

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery is gone"
        said: dict[str, Any] = json.loads(line)
        return said
