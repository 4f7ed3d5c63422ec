"""Tables as an output: the input's columns with the answers beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from oumi_fireworks.errors import ConfigurationError, WriteError
from oumi_fireworks.grammar import ended
from oumi_fireworks.tables.answer_columns import COLUMNS, AnswerColumns
from oumi_fireworks.tables.column_arrays import answer_arrays, array_of
from oumi_fireworks.tables.column_types import TYPES
from oumi_fireworks.tables.output import BeforeReplacing, Output
from oumi_fireworks.tables.row_groups import RowGroups
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.tables.table_rows import Block, TableRow
from oumi_fireworks.tables.table_writers import TableFormat, Write

_OBJECTS_A_BATCH = 1024
"""Rows of JSON that become columns at a time."""


class TableSink:
    """Writes every row of the input, with its answer and what became of it.

    Args:
        output: Where to.
        kind: How it is written.
        schema: The input's columns.
        columns: The new ones.
        expanded: The columns that answers are expanded to, by their fields.

    Raises:
        ConfigurationError: If a name is taken already, or the format cannot hold a column.
    """

    def __init__(
        self,
        output: Output,
        kind: TableFormat,
        schema: pa.Schema,
        columns: AnswerColumns,
        expanded: Mapping[str, pa.Field],
    ) -> None:
        self.output = output
        self._kind = kind
        self._columns = columns
        self._expanded = expanded
        own, fields = columns.names(schema.names, list(expanded))
        new = [pa.field(name, TYPES[plain]) for name, plain in zip(own, COLUMNS, strict=True)]
        more = [
            field.with_name(name) for name, field in zip(fields, expanded.values(), strict=True)
        ]
        self._schema = pa.schema([*schema, *new, *more], schema.metadata)
        self._input = schema
        try:
            with kind(pa.BufferOutputStream(), self._schema):
                pass
        except (pa.ArrowException, TypeError) as error:
            raise ConfigurationError(
                f"The columns of the input cannot be written to {output.name}: {ended(error)} "
                "Nothing was sent. Choose another --output-format."
            ) from error

    @contextmanager
    def open(self, before_replacing: BeforeReplacing | None = None) -> Iterator[_TableWriter]:
        """Write a table."""
        with (
            self.output.writing(before_replacing=before_replacing) as file,
            self._kind(file, self._schema) as write,
        ):
            writer = _TableWriter(
                self._input, self._schema, self._columns, self._expanded, self._saying_why(write)
            )
            yield writer
            writer.finish()

    def _saying_why(self, write: Write) -> Write:
        """Return what writes rows, and says so where the format cannot hold a value of them."""

        def attempt(table: pa.Table) -> None:
            try:
                write(table)
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise WriteError(
                    f"{self.output.name} cannot hold a value of the input: {ended(error)} Nothing "
                    "is lost: what was answered is kept. Run the same command again with another "
                    "--output-format, such as arrow; nothing is paid twice."
                ) from error

        return attempt


class _TableWriter:
    """Gathers rows, and writes them many at a time."""

    def __init__(
        self,
        input_schema: pa.Schema,
        schema: pa.Schema,
        columns: AnswerColumns,
        expanded: Mapping[str, pa.Field],
        write: Write,
    ) -> None:
        self._input = input_schema
        self._schema = schema
        self._columns = columns
        self._expanded = expanded
        self._groups = RowGroups(schema, write)
        self._block: Block | None = None
        self._positions: list[int] = []
        self._objects: list[Mapping[str, Any]] = []
        self._new: list[tuple[Any, ...]] = []

    def add(self, finished: FinishedRow) -> None:
        """Take a row. One that cannot be read has no columns, and is among the failures alone."""
        row = finished.row
        if isinstance(row, TableRow):
            if row.block is not self._block:
                self._close_batch()
                self._block = row.block
            self._positions.append(row.position)
        else:
            try:
                fields = row.fields()
            except ValueError:
                return
            if len(self._objects) >= _OBJECTS_A_BATCH:
                self._close_batch()
            self._objects.append(fields)
        self._new.append(self._columns.values(finished))

    def finish(self) -> None:
        """Write what is left."""
        self._close_batch()
        self._groups.finish()

    def _close_batch(self) -> None:
        """Put the new columns beside those of the rows that were taken."""
        if not self._new:
            return
        arrays, more = answer_arrays(self._new, self._expanded)
        batch = pa.RecordBatch.from_arrays([*self._own(), *arrays, *more], schema=self._schema)
        self._groups.add(batch)
        self._block, self._positions, self._objects, self._new = None, [], [], []

    def _own(self) -> Sequence[pa.Array]:
        """Return the input's columns of the rows that were taken."""
        if self._block is None:
            return [
                array_of([each.get(field.name) for each in self._objects], field.type, field)
                for field in self._input
            ]
        batch = self._block.batch
        if len(self._positions) != len(batch):
            batch = batch.take(pa.array(self._positions))
        columns: Sequence[pa.Array] = batch.columns
        return columns
