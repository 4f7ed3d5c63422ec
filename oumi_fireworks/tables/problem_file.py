"""Problems with the rows of an input: in memory, or on disk when they are many."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

from oumi_fireworks.errors import Place, Problem
from oumi_fireworks.user_json import dumps, loads

_PROBLEMS_IN_MEMORY = 1 << 20
"""Bytes of problems from which on they are kept in a file."""


class ProblemFile:
    """Problems with the ordinals of their rows."""

    def __init__(self) -> None:
        self._count = 0
        # Lives as long as its owner, and is nameless: nothing is left behind.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_PROBLEMS_IN_MEMORY)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._count

    def add(self, ordinal: int, problem: Problem) -> None:
        """Note a problem with the row of this ordinal."""
        place, message, conversation_id = problem
        self._file.seek(0, 2)
        self._file.write(dumps((ordinal, *place, message, conversation_id)) + b"\n")
        self._count += 1

    def __iter__(self) -> Iterator[tuple[int, Problem]]:
        self._file.seek(0)
        for line in self._file:
            ordinal, file, number, unit, message, conversation_id = loads(line)
            yield ordinal, Problem(Place(file, number, unit), message, conversation_id)
