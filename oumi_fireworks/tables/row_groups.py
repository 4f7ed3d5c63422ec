"""Record batches, gathered and written many rows at a time."""

from __future__ import annotations

import pyarrow as pa

from oumi_fireworks.tables.table_writers import Write

_MOST_ROWS = 1 << 16
"""Rows that are written at a time, a row group of a Parquet file."""

_MOST_BYTES = 32 << 20
"""Bytes of rows that are written at a time at the most, roughly."""


class RowGroups:
    """Gathers rows, and writes them when there are enough.

    Args:
        schema: Their columns.
        write: Writes rows.
    """

    def __init__(self, schema: pa.Schema, write: Write) -> None:
        self._schema = schema
        self._write = write
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows."""
        self._batches.append(batch)
        self._rows += len(batch)
        self._bytes += batch.nbytes
        if self._rows >= _MOST_ROWS or self._bytes >= _MOST_BYTES:
            self.finish()

    def finish(self) -> None:
        """Write what is left."""
        if self._batches:
            self._write(pa.Table.from_batches(self._batches, self._schema))
        self._batches, self._rows, self._bytes = [], 0, 0
