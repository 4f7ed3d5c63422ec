"""Parquet and Arrow outputs: read again, and answers put into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from oumi_fireworks.tables.column_arrays import answer_arrays
from oumi_fireworks.tables.kept_rows import KeptColumns, KeptRow, NewValues, Values
from oumi_fireworks.tables.output import LocalOutput
from oumi_fireworks.tables.python_values import python_values
from oumi_fireworks.tables.row_groups import RowGroups
from oumi_fireworks.tables.table_source import TableFile
from oumi_fireworks.tables.table_writers import TableFormat


class KeptTable:
    """An output whose columns have types.

    Args:
        file: The output.
        kind: How it is written.
        columns: Its columns.
    """

    def __init__(self, file: TableFile, kind: TableFormat, columns: KeptColumns) -> None:
        self._file = file
        self._kind = kind
        self._columns = columns

    def rows(self) -> Iterator[KeptRow]:
        """Yield the rows."""
        for batch in _batches(self._file):
            for values in zip(*map(python_values, batch.columns), strict=True):
                yield self._columns.row(values)

    def rewrite(self, place: LocalOutput, new: NewValues) -> None:
        """Write it again, with other answers in some of its rows."""
        schema = self._file.schema
        fields = {field: schema.field(column) for field, column in self._columns.expanded.items()}
        number = 0
        with place.writing() as file, self._kind(file, schema) as write:
            groups = RowGroups(schema, write)
            for batch in _batches(self._file):
                found = {at: new(number + at) for at in range(len(batch))}
                changed = {at: values for at, values in found.items() if values is not None}
                groups.add(_changed(batch, changed, self._columns, fields) if changed else batch)
                number += len(batch)
            groups.finish()


def _batches(file: TableFile) -> Iterator[pa.RecordBatch]:
    return (batch for batch in file.batches() if not isinstance(batch, str))


def _changed(
    batch: pa.RecordBatch,
    changed: Mapping[int, Values],
    columns: KeptColumns,
    fields: Mapping[str, pa.Field],
) -> pa.RecordBatch:
    """Return rows of which some have other answers."""
    own, more = answer_arrays(list(changed.values()), fields)
    places = list(range(len(batch)))
    for count, at in enumerate(changed):
        places[at] = len(batch) + count
    kept: Sequence[pa.Array] = batch.columns
    arrays = list(kept[: columns.start])
    for old, array in zip(kept[columns.start :], [*own, *more], strict=True):
        both = pa.concat_arrays([old, array.cast(old.type)])
        arrays.append(both.take(pa.array(places)))
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
