"""Outputs of JSON Lines with a line for each row: read again, and answers put into them.

What is not changed stays as it is, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oumi_fireworks.errors import InputError, Place
from oumi_fireworks.grammar import ended
from oumi_fireworks.tables.answer_columns import COLUMNS
from oumi_fireworks.tables.files import ReadableFile
from oumi_fireworks.tables.kept_rows import KeptColumns, KeptRow, NewValues
from oumi_fireworks.tables.line_rows import object_in
from oumi_fireworks.tables.lines import read_lines
from oumi_fireworks.tables.output import LocalOutput
from oumi_fireworks.tables.row_lines_sink import object_in_answer
from oumi_fireworks.user_json import dumps, loads


class KeptRowLines:
    """An output of rows as JSON Lines.

    Args:
        file: The output.
        columns: Its columns, as its first line has them.
    """

    def __init__(self, file: ReadableFile, columns: KeptColumns) -> None:
        self._file = file
        self._columns = columns

    def rows(self) -> Iterator[KeptRow]:
        """Yield the rows."""
        new = {*self._columns.answer, *self._columns.expanded.values()}
        for place, line in read_lines([self._file]):
            fields = _object(place, line)
            values = zip(COLUMNS, map(fields.get, self._columns.answer), strict=True)
            own = {name: value for name, value in fields.items() if name not in new}
            yield KeptRow(own, dict(values))

    def rewrite(self, place: LocalOutput, new: NewValues) -> None:
        """Write it again, with other answers in some of its rows."""

        def changed(number: int, line: bytes) -> bytes:
            values = new(number)
            if values is None:
                return line
            fields = loads(line) | dict(zip(self._columns.answer, values, strict=True))
            answer = object_in_answer(values[0]) if self._columns.expanded else {}
            for field, column in self._columns.expanded.items():
                fields[column] = answer.get(field)
            return dumps(fields)

        rewrite_lines(self._file, place, changed)


class KeptResults:
    """An output in the form of OpenAI's Batch API: a line for each row that was sent.

    Args:
        file: The output.
    """

    def __init__(self, file: ReadableFile) -> None:
        self._file = file

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Yield ``custom_id``, ``response`` and ``error`` of each row."""
        return (_object(place, line) for place, line in read_lines([self._file]))

    def rewrite(self, place: LocalOutput, new: Callable[[int], bytes | None]) -> None:
        """Write it again, with other lines for some of its rows; see :data:`NewValues`."""
        rewrite_lines(self._file, place, lambda number, line: new(number) or line)


def _object(place: Place, line: bytes) -> dict[str, Any]:
    try:
        return object_in(line)
    except ValueError as error:
        raise InputError(
            f"{place} is not what run or results write: it is {ended(error)}"
        ) from error


def rewrite_lines(
    file: ReadableFile, place: LocalOutput, line_of: Callable[[int, bytes], bytes]
) -> None:
    """Write lines again, each as a function returns it.

    Raises:
        InputError: If they cannot be read.
        WriteError: If they cannot be written. What was there stays.
    """
    with place.writing() as target:
        for number, (_, line) in enumerate(read_lines([file])):
            target.write(line_of(number, line) + b"\n")
