"""Arrow and Feather files as tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import pyarrow as pa

from oumi_fireworks.tables.arrow_errors import reading
from oumi_fireworks.tables.files import ReadableFile

_FILE_SIGNATURE = b"ARROW1"


class ArrowTable:
    """An Arrow file, be it the format for files (Feather) or the one for streams.

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
        with reading(self.name), self._opened() as (schema, _):
            return schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they were written."""
        with reading(self.name), self._opened() as (_, batches):
            yield from batches

    @contextmanager
    def _opened(self) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        with self._file.open() as raw:
            start = raw.peek(len(_FILE_SIGNATURE))
            if start.startswith(_FILE_SIGNATURE):
                with pa.ipc.open_file(raw) as file:
                    numbers = range(file.num_record_batches)
                    yield file.schema, (file.get_batch(number) for number in numbers)
            else:
                with pa.ipc.open_stream(raw) as stream:
                    yield stream.schema, iter(stream)
