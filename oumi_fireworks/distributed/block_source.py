"""The rows of a block as a source, and the block that comes out of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

import pyarrow as pa

from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.tables.frames import MemoryTable
from oumi_fireworks.tables.output import BeforeReplacing
from oumi_fireworks.tables.source import InputRow
from oumi_fireworks.tables.table_source import TableSource


class BlockInput:
    """The rows of a block, as an input.

    Args:
        table: The rows.
        name: What to call it.
        options: What its columns are for.
    """

    def __init__(self, table: pa.Table, name: str, options: InputOptions) -> None:
        self.name = name
        self.source = TableSource([MemoryTable(table, name)], options)

    def rows(self) -> Iterator[InputRow]:
        """Yield the rows."""
        return self.source.rows()


class MemoryOutput:
    """A file in memory."""

    name = "the block"
    errors = None

    def __init__(self) -> None:
        self.content = BytesIO()

    def exists(self) -> bool:
        """Tell that there is nothing yet."""
        return False

    @contextmanager
    def writing(
        self, *, unless_empty: bool = False, before_replacing: BeforeReplacing | None = None
    ) -> Iterator[BinaryIO]:
        """Write it."""
        yield self.content

    def table(self) -> pa.Table:
        """Return what was written, an Arrow file, as a table."""
        return pa.ipc.open_file(pa.py_buffer(self.content.getbuffer())).read_all()
