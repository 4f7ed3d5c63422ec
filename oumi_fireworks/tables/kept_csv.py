"""CSV and TSV outputs: read again, and answers put into them.

What is not changed stays as it is, byte by byte.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa

from oumi_fireworks.errors import InputError
from oumi_fireworks.grammar import number
from oumi_fireworks.tables.answer_columns import COLUMNS
from oumi_fireworks.tables.arrow_errors import reading
from oumi_fireworks.tables.column_arrays import answer_arrays
from oumi_fireworks.tables.column_types import TYPES
from oumi_fireworks.tables.files import ReadableFile
from oumi_fireworks.tables.kept_rows import KeptColumns, KeptRow, NewValues, Values
from oumi_fireworks.tables.lines import unpacked
from oumi_fireworks.tables.output import LocalOutput
from oumi_fireworks.tables.table_writers import FORMATS
from oumi_fireworks.user_json import loads

_ROWS_AT_ONCE = 1024
"""Rows whose new answers are written together."""

_BOM = b"\xef\xbb\xbf"


class KeptCsv:
    """An output in CSV or TSV.

    Args:
        file: The output.
        kind: ``csv`` or ``tsv``.
        expanded: The columns that its answers were expanded to, by their fields: a text does not
            tell what it was.
    """

    def __init__(
        self, file: ReadableFile, kind: str, expanded: Mapping[str, pa.Field] | None = None
    ) -> None:
        self._file = file
        self._kind = kind
        self._expanded = expanded or {}
        self._field = _FIELDS[kind]

    @cached_property
    def columns(self) -> KeptColumns | None:
        """Its columns; None where it has no answers.

        Raises:
            InputError: If it cannot be read.
        """
        header = next(self._records(), b"")
        names = [_text(field) or "" for field in self._fields(header.removeprefix(_BOM))]
        return KeptColumns.of(names)

    def rows(self) -> Iterator[KeptRow]:
        """Yield the rows; numbers and tool calls are what they were, the input's columns texts."""
        columns = self._known_columns
        for record in islice(self._records(), 1, None):
            values: list[Any] = [_text(field) for field in self._fields(record)]
            if len(values) != len(columns.names):
                raise InputError(
                    f"{self._file.name} has a row of {number(len(values), 'field')}, and its "
                    f"header has {len(columns.names)}. Was it changed since it was written?"
                )
            for at, name in enumerate(COLUMNS, columns.start):
                values[at] = _value(values[at], TYPES[name])
            yield columns.row(values)

    def rewrite(self, place: LocalOutput, new: NewValues) -> None:
        """Write it again, with other answers in some of its rows."""
        records = self._records()
        with place.writing() as file:
            file.write(next(records))
            number = 0
            while some := list(islice(records, _ROWS_AT_ONCE)):
                found = {at: new(number + at) for at in range(len(some))}
                changed = {at: values for at, values in found.items() if values is not None}
                written = iter(self._written(list(changed.values())))
                for at, record in enumerate(some):
                    file.write(self._own(record) + next(written) if at in changed else record)
                number += len(some)

    @property
    def _known_columns(self) -> KeptColumns:
        assert self.columns is not None  # else it is no output of ours, and was refused
        return self.columns

    def _written(self, rows: Sequence[Values]) -> list[bytes]:
        """Return what stands after the input's columns in rows that have these answers."""
        own, more = answer_arrays(rows, self._expanded)
        fields = [pa.field(name, TYPES[name]) for name in COLUMNS]
        schema = pa.schema([*fields, *self._expanded.values()])
        buffer = io.BytesIO()
        with FORMATS[self._kind](buffer, schema) as write:
            write(pa.Table.from_arrays([*own, *more], schema=schema))
        buffer.seek(0)
        return list(islice(_records(buffer), 1, None))

    def _own(self, record: bytes) -> bytes:
        """Return the input's columns of a row as they stand there."""
        start = self._known_columns.start
        if not start:
            return b""
        last = next(islice(self._field.finditer(record), start - 1, None))
        return record[: last.end()]

    def _fields(self, record: bytes) -> list[bytes]:
        return [found[1] for found in self._field.finditer(record.rstrip(b"\r\n"))]

    def _records(self) -> Iterator[bytes]:
        with reading(self._file.name), self._file.open() as raw:
            yield from _records(unpacked(raw))


def _pattern(delimiter: bytes) -> re.Pattern[bytes]:
    """Return what finds the fields of a record, each with the delimiter after it."""
    quoted = rb'"[^"]*(?:""[^"]*)*"'
    plain = rb"[^%s]*" % delimiter
    return re.compile(rb"(?:^|(?<=%s))(%s|%s)(?:%s|$)" % (delimiter, quoted, plain, delimiter))


_FIELDS = {"csv": _pattern(b","), "tsv": _pattern(b"\t")}


def _records(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the records, each with the end of its line: a line ends one where no quote is open."""
    record = bytearray()
    is_open = False
    for line in stream:
        record += line
        is_open ^= bool(line.count(b'"') % 2)
        if not is_open:
            yield bytes(record)
            record.clear()
    if record:
        yield bytes(record)


def _text(field: bytes) -> str | None:
    """Return what a field says; None for one that is empty."""
    if not field:
        return None
    if field.startswith(b'"'):
        field = field[1:-1].replace(b'""', b'"')
    return field.decode("utf-8", "replace")


def _value(text: str | None, kind: pa.DataType) -> Any:
    """Return the value of an answer column; None where its text is none."""
    if text is None or pa.types.is_string(kind):
        return text
    try:
        return loads(text.encode())
    except ValueError:
        return None
