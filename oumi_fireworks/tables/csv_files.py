"""CSV and TSV files as tables: every column is text, as it stands there."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from io import BufferedReader

import pyarrow as pa
import pyarrow.csv as pacsv

from oumi_fireworks.errors import InputError
from oumi_fireworks.grammar import number
from oumi_fireworks.tables.arrow_errors import reading
from oumi_fireworks.tables.files import ReadableFile
from oumi_fireworks.tables.lines import LONGEST_LINE_BYTES, unpacked

_BLOCK_BYTES = (1 << 20, 1 << 24, 4 * LONGEST_LINE_BYTES)
"""Bytes that are read at a time: more where a row does not fit."""

_HEADER_BYTES = 1 << 16
"""Bytes at the beginning that the header is looked for in."""

_END_BYTES = 64
"""Bytes at the end of a file by which an open quote is told."""

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_TOO_LONG = "straddling"
"""The word in pyarrow's message by which a row that does not fit is known."""


class CsvTable:
    """A CSV file, plain or packed, with a header.

    A field that is empty is null, and one that is ``""`` is an empty text. Rows may be over several
    lines, in quotes. A row with too many fields or too few is a bad one, and so is one that is not
    UTF-8. A quote that is never closed is an error: it would make one field of all that follows.

    Args:
        file: The file.
        delimiter: What stands between fields. Default: the one of ``,;|`` and tab that the header
            has most of.
    """

    def __init__(self, file: ReadableFile, delimiter: str | None = None) -> None:
        self._file = file
        self._given = delimiter

    @property
    def name(self) -> str:
        """The file's name."""
        return self._file.name

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns, texts all of them."""
        return pa.schema([(name, pa.string()) for name in self._header])

    def batches(self) -> Iterator[pa.RecordBatch | str]:
        """Yield the rows, and why one cannot be read."""
        done = 0
        for block_bytes in _BLOCK_BYTES:
            try:
                for found in self._rows(block_bytes, done):
                    done += 1 if isinstance(found, str) else len(found)
                    yield found
            except pa.ArrowInvalid as error:
                if _TOO_LONG in str(error):
                    continue
                with reading(f"{self.name} after row {done}"):
                    raise
            return
        raise InputError(
            f"{self.name}, row {done + 1}: it is longer than any request may be. Is a quote not "
            "closed?"
        )

    @cached_property
    def _header(self) -> list[str]:
        with reading(self.name), self._file.open() as raw:
            start = unpacked(raw).peek(_HEADER_BYTES)[:_HEADER_BYTES]
        try:
            # One that is too long ends in the middle of a letter.
            text = start.decode("utf-8-sig", "ignore" if len(start) == _HEADER_BYTES else "strict")
        except UnicodeDecodeError as error:
            text = start[: error.start].decode("utf-8-sig")
            if "\n" not in text:
                raise InputError(f"{self.name} is not UTF-8; save it as UTF-8.") from error
        if not text.strip():
            raise InputError(f"{self.name} is empty: it has no header.")
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter(text))
        return next(row for row in rows if row)

    def _delimiter(self, text: str) -> str:
        if self._given is not None:
            return self._given
        header = _QUOTED.sub("", text.lstrip().partition("\n")[0])
        return max(",;\t|", key=header.count)

    @cached_property
    def _found_delimiter(self) -> str:
        with reading(self.name), self._file.open() as raw:
            start = unpacked(raw).peek(_HEADER_BYTES)[:_HEADER_BYTES]
        return self._delimiter(start.decode("utf-8-sig", "ignore"))

    def _rows(self, block_bytes: int, skipped: int) -> Iterator[pa.RecordBatch | str]:
        """Yield the rows after those that are skipped."""
        numbers = _Numbers()
        with self._file.open() as raw:
            buffered = unpacked(raw)
            if not _has_rows(buffered):
                return
            stream = _Remembering(buffered)
            batches = pacsv.open_csv(
                stream,
                pacsv.ReadOptions(use_threads=False, block_size=block_bytes),
                pacsv.ParseOptions(
                    delimiter=self._found_delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=numbers.refuse,
                ),
                # Bytes first: pyarrow would refuse the whole file for one that is no UTF-8.
                pacsv.ConvertOptions(
                    column_types={name: pa.binary() for name in self._header},
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            number = 0
            found: pa.RecordBatch | str = ""
            for found in numbers.between(batches):
                rows = 1 if isinstance(found, str) else len(found)
                if isinstance(found, str):
                    if number >= skipped:
                        yield found
                elif number + rows > skipped:
                    yield from self._as_texts(found.slice(max(0, skipped - number)))
                number += rows
            if not isinstance(found, str) and _is_open(found, stream.end):
                raise InputError(
                    f"{self.name}, row {number}: a quote is not closed, so that the rest of the "
                    "file is one field. Close it, or double it where it is a part of the text."
                )

    def _as_texts(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch | str]:
        try:
            yield pa.RecordBatch.from_arrays(
                [column.cast(pa.string()) for column in batch.columns], schema=self.schema
            )
        except pa.ArrowInvalid as error:
            if len(batch) > 1:
                for half in (batch.slice(0, len(batch) // 2), batch.slice(len(batch) // 2)):
                    yield from self._as_texts(half)
                return
            columns = [name for name in batch.schema.names if not _is_text(batch.column(name))]
            yield f"column {columns[0]!r} is not UTF-8" if columns else str(error)


class _Remembering(io.BufferedIOBase):
    """A stream that remembers its end."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        self.end = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        data = self._stream.read(size)
        self.end = (self.end + data[-_END_BYTES:])[-_END_BYTES:]
        return data


def _is_open(batch: pa.RecordBatch, end: bytes) -> bool:
    """Tell whether the last field of a file began with a quote that is never closed.

    Args:
        batch: The last rows of the file, as bytes.
        end: How the file ends.
    """
    last = batch.column(batch.num_columns - 1)[-1].as_py() or b""
    is_quoted = b"\n" in last or b"\r" in last
    return is_quoted and last[-1:] == end[-1:] and not end.rstrip().endswith(b'"')


class _Numbers:
    """The rows that pyarrow refuses, brought to their places between the others."""

    def __init__(self) -> None:
        self._refused: deque[tuple[int, str]] = deque()  # in the order of their numbers

    def refuse(self, row: pacsv.InvalidRow) -> str:
        """Take note of a row of another number of fields, and have it left out."""
        fields = number(row.actual_columns, "field")
        said = f"it has {fields}, and the header has {row.expected_columns}"
        self._refused.append((row.number, said))
        return "skip"

    def between(self, batches: pacsv.CSVStreamingReader) -> Iterator[pa.RecordBatch | str]:
        """Yield the batches, cut where a refused row stood, and why it was refused."""
        number = 2  # the header is 1
        for batch in batches:
            rest = batch
            while self._refused and self._refused[0][0] < number + len(rest):
                refused, reason = self._refused.popleft()
                if refused > number:
                    yield rest.slice(0, refused - number)
                    rest = rest.slice(refused - number)
                yield reason
                number = refused + 1
            if len(rest):
                yield rest
                number += len(rest)
        for _, reason in self._refused:
            yield reason


def _has_rows(stream: BufferedReader) -> bool:
    """Tell whether there is more than a header without the end of its line."""
    start = stream.peek(_HEADER_BYTES)
    return len(start) >= _HEADER_BYTES or b"\n" in start or b"\r" in start


def _is_text(array: pa.Array) -> bool:
    try:
        array.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
