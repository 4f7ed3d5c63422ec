"""Tables as an input: files of columns, read as a stream of record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from oumi_fireworks.errors import InputError, Place
from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.request_fields import did_you_mean
from oumi_fireworks.tables.bad_rows import BadRow
from oumi_fireworks.tables.recipe import Recipe
from oumi_fireworks.tables.source import InputRow
from oumi_fireworks.tables.table_rows import Block, TableRow

ROWS_A_BLOCK = 1024
"""Rows of a block at the most."""


class TableFile(Protocol):
    """A file with a table in it."""

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns.

        Raises:
            InputError: If it cannot be read.
        """

    def batches(self) -> Iterator[pa.RecordBatch | str]:
        """Yield its rows, some at a time; for a row that cannot be read, why not.

        Raises:
            InputError: If it cannot be read.
        """


class TableSource:
    """The rows of one table in one or more files.

    Args:
        files: The files. All have the same columns; their order may differ.
        options: What the columns are for.

    Raises:
        InputError: If a file cannot be read, or has other columns than the first.
        ConfigurationError: If a column that is named does not exist.
    """

    def __init__(self, files: Sequence[TableFile], options: InputOptions) -> None:
        self._files = files
        self.schema = _common_schema(files)
        self.recipe = Recipe.of(options, self.schema.names)

    def columns(self) -> set[str]:
        """Return the names of the columns."""
        return set(self.schema.names)

    def rows(self) -> Iterator[InputRow]:
        """Yield the rows."""
        for file in self._files:
            number = 1
            for found in file.batches():
                if isinstance(found, str):
                    yield BadRow(Place(file.name, number, "row"), found)
                    number += 1
                    continue
                batch = _fitted(found, self.schema, file.name)
                for start in range(0, len(batch), ROWS_A_BLOCK):
                    part = batch.slice(start, ROWS_A_BLOCK)
                    block = Block(part, self.recipe, file.name, number + start)
                    for position in range(len(part)):
                        yield TableRow(block, position)
                number += len(batch)


def _common_schema(files: Sequence[TableFile]) -> pa.Schema:
    """Return the columns of all files, in the order of the first.

    A column of nulls alone takes the type that it has elsewhere.
    """
    first = files[0].schema
    _require_names(first, files[0].name)
    merged = first.remove_metadata()
    for file in files[1:]:
        schema = file.schema.remove_metadata()
        _require_names(schema, file.name)
        for name in schema.names:
            if name not in merged.names:
                raise InputError(
                    f"{file.name} has a column {name!r}, and {files[0].name} has not."
                    f"{did_you_mean(name, merged.names)} All files of an input have the same "
                    "columns."
                )
        for name in merged.names:
            if name not in schema.names:
                raise InputError(
                    f"{file.name} has no column {name!r}, and {files[0].name} has."
                    f"{did_you_mean(name, schema.names)} All files of an input have the same "
                    "columns."
                )
        try:
            merged = pa.unify_schemas([merged, schema])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            for name in merged.names:
                ours, theirs = merged.field(name).type, schema.field(name).type
                if ours != theirs:
                    raise InputError(
                        f"The column {name!r} is {theirs} in {file.name} and {ours} in "
                        f"{files[0].name}. All files of an input have the same columns."
                    ) from error
            raise
    return merged.with_metadata(first.metadata)


def _require_names(schema: pa.Schema, file: str) -> None:
    seen: set[str] = set()
    for name in schema.names:
        if name in seen:
            raise InputError(f"{file} has two columns that are called {name!r}. Rename one.")
        seen.add(name)


def _fitted(batch: pa.RecordBatch, schema: pa.Schema, file: str) -> pa.RecordBatch:
    """Bring a batch's columns into the order and the types of the whole table."""
    if batch.schema.equals(schema):
        return batch
    arrays = []
    for field in schema:
        array = batch.column(field.name)
        arrays.append(array if array.type == field.type else array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
