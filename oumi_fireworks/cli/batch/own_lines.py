"""The lines of a file that ``batch run`` or ``batch results`` has written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.grammar import ended
from oumi_fireworks.tables import InputFile, read_lines
from oumi_fireworks.user_json import loads


def own_lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each line, and the JSON object that it is.

    Raises:
        WrongUseError: If one is no JSON object.
        InputError: If the file cannot be read.
    """
    for place, line in read_lines([InputFile(path, str(path))]):
        try:
            row = loads(line)
        except ValueError as error:
            raise WrongUseError(
                f"{place} is not what `batch run` writes: {ended(error)}"
            ) from error
        if not isinstance(row, dict):
            raise WrongUseError(f"{place} is not what `batch run` writes: it is no JSON object.")
        yield line, row


def own_lines_if_any(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield the same; nothing where the file is not there."""
    if path.exists():
        yield from own_lines(path)


class FailureLines:
    """The lines of an errors file, which are in the order of their rows.

    Args:
        path: The file; one that is not there has none.
    """

    def __init__(self, path: Path) -> None:
        self._lines = own_lines_if_any(path)
        self._next: tuple[bytes, dict[str, Any]] | None = None
        self._left_out = 0
        self._advance()

    def of(self, index: int) -> tuple[bytes, dict[str, Any]] | None:
        """Return the line of a row, and the object that it is; rows are asked for in order."""
        while self._next is not None and self._next[1]["index"] < index:
            self._advance()
        return self._next if self._next is not None and self._next[1]["index"] == index else None

    def left_out(self) -> int:
        """Return how many rows of the input were left out; to be asked after the last row."""
        while self._next is not None:
            self._advance()
        return self._left_out

    def _advance(self) -> None:
        self._next = None
        for line, row in self._lines:
            if isinstance(row.get("index"), int):
                self._next = line, row
                return
            self._left_out += 1
