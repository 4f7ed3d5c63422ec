"""JSON Lines as an output: what all kinds of them have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from oumi_fireworks.tables.output import BeforeReplacing, Output
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.user_json import dumps


class LineSink(ABC):
    """Writes rows as lines.

    Args:
        output: Where to.
    """

    def __init__(self, output: Output) -> None:
        self.output = output

    @abstractmethod
    def line(self, finished: FinishedRow) -> Mapping[str, Any] | None:
        """Return what is written of a row; None where it is left out."""

    @contextmanager
    def open(self, before_replacing: BeforeReplacing | None = None) -> Iterator[_LineWriter]:
        """Write lines."""
        with self.output.writing(before_replacing=before_replacing) as file:
            yield _LineWriter(file, self.line)


class _LineWriter:
    def __init__(
        self, file: BinaryIO, line_of: Callable[[FinishedRow], Mapping[str, Any] | None]
    ) -> None:
        self._file = file
        self._line_of = line_of

    def add(self, finished: FinishedRow) -> None:
        line = self._line_of(finished)
        if line is not None:
            self._file.write(dumps(line) + b"\n")
