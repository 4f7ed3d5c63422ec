"""Standard streams that a command can use, whatever it was started with."""

from __future__ import annotations

import io
import os
import sys


def mend_streams() -> None:
    """Make the standard streams usable.

    - A stream that is closed (``<&-``, ``>&-``) is open: Python has None in its place, and the
      next file that is opened would get its number. What is written is dropped. Input cannot be
      read: it was not given, which is something else than none.
    - What the encoding of a terminal or a pipe does not have (cp1252, ASCII) is written as ``?``.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY)  # gets the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # for the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
