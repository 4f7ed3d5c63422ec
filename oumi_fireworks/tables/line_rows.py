"""Lines of JSON as rows: what all kinds of them have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from oumi_fireworks.errors import Place
from oumi_fireworks.tables.files import ReadableFile
from oumi_fireworks.tables.source import InputRow, objects_of
from oumi_fireworks.user_json import loads


class LineFiles(ABC):
    """Files of rows, one a line.

    Args:
        files: The files.
    """

    def __init__(self, files: Sequence[ReadableFile]) -> None:
        self._files = files

    @abstractmethod
    def rows(self) -> Iterator[InputRow]:
        """Yield the lines that are not blank."""

    def columns(self) -> set[str]:
        """Return the names of all fields; all lines are read."""
        return {name for each in objects_of(self) for name in each}


class LineRow:
    """One line.

    Args:
        file: The name of its file.
        number: Its number there.
        line: What it says.
    """

    __slots__ = ("_fields", "_file", "_line", "_number")

    def __init__(self, file: str, number: int, line: bytes) -> None:
        self._file = file
        self._number = number
        self._line = line
        self._fields: dict[str, Any] | None = None

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self._file, self._number)

    def content(self) -> bytes:
        """Return the line."""
        return self._line

    def fields(self) -> dict[str, Any]:
        """Return the line's object, which is read once.

        Raises:
            ValueError: If it is none.
        """
        if self._fields is None:
            self._fields = object_in(self._line)
        return self._fields


def object_in(line: bytes) -> dict[str, Any]:
    """Return the object of a line.

    Raises:
        ValueError: If it is none.
    """
    try:
        value = loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value
