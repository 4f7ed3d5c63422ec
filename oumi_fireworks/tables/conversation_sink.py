"""Answered conversations as JSON Lines: what Oumi reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from oumi_fireworks.tables.output import BeforeReplacing, Output
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.user_json import dumps


class ConversationSink:
    """Writes each conversation with its answer, and no row without one.

    Args:
        output: Where to.
    """

    def __init__(self, output: Output) -> None:
        self.output = output

    @contextmanager
    def open(self, before_replacing: BeforeReplacing | None = None) -> Iterator[_Lines]:
        """Write lines."""
        with self.output.writing(before_replacing=before_replacing) as file:
            yield _Lines(file)


class _Lines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, finished: FinishedRow) -> None:
        if finished.completion is not None:
            self._file.write(dumps(finished.answered()) + b"\n")
