"""Parquet files as tables."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq

from oumi_fireworks.tables.arrow_errors import reading
from oumi_fireworks.tables.files import ReadableFile

_BLOCK_BYTES = 16 << 20
"""Bytes of rows that are unpacked at a time, roughly."""

_BLOCK_ROWS = 8192
_BUFFER_BYTES = 1 << 20
"""Bytes of a column that are read ahead."""


class ParquetTable:
    """A Parquet file.

    Args:
        file: The file.
    """

    def __init__(self, file: ReadableFile) -> None:
        self._file = file

    @property
    def name(self) -> str:
        """The file's name."""
        return self._file.name

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns."""
        with reading(self.name), self._file.open() as raw, pq.ParquetFile(raw) as parquet:
            return parquet.schema_arrow

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows. No row group need fit into memory, only rows of some megabytes."""
        with (
            reading(self.name),
            self._file.open() as raw,
            pq.ParquetFile(raw, buffer_size=_BUFFER_BYTES, pre_buffer=False) as parquet,
        ):
            rows = _rows_at_a_time(parquet.metadata)
            yield from parquet.iter_batches(batch_size=rows, use_threads=False)


def _rows_at_a_time(metadata: pq.FileMetaData) -> int:
    """Return how many rows to read at once, by the largest of the row groups."""
    largest = 1
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if group.num_rows:
            largest = max(largest, group.total_byte_size // group.num_rows)
    return max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // largest))
