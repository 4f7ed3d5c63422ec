"""Where in an input something is."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A line of an input, for people.

    Attributes:
        file: Its file, as the user named it.
        line: Its number, from 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"
