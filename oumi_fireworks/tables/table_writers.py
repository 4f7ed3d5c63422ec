"""How tables are written: Parquet, Arrow, CSV and TSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pyarrow.types as types

from oumi_fireworks.tables.cells import text_of
from oumi_fireworks.tables.python_values import python_values

Write = Callable[[pa.Table], None]
"""Writes some rows."""

_PLAIN = (
    types.is_string,
    types.is_large_string,
    types.is_boolean,
    types.is_integer,
    types.is_float64,
    types.is_null,
)
"""Types whose values CSV holds as pyarrow writes them."""


TableFormat = Callable[[BinaryIO, pa.Schema], AbstractContextManager[Write]]
"""Begins a file: what it gives writes rows, until the block has come to its end."""


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(file, schema) as writer:
        yield lambda table: writer.write_table(table, row_group_size=max(1, len(table)))


@contextmanager
def _arrow(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    # The format for files has one dictionary a column, and those of batches differ.
    fields = [_decoded(field) for field in schema]
    decoded = pa.schema(fields, schema.metadata)
    with pa.ipc.new_file(file, decoded) as writer:
        yield lambda table: writer.write_table(table.cast(decoded))


def _csv(delimiter: str) -> TableFormat:
    @contextmanager
    def open_csv(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
        texts = pa.schema([_plain_field(field) for field in schema])
        options = pacsv.WriteOptions(delimiter=delimiter)
        with pacsv.CSVWriter(file, texts, write_options=options) as writer:

            def write(table: pa.Table) -> None:
                columns = [
                    column if column.type == field.type else _as_texts(column)
                    for column, field in zip(table.columns, texts, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=texts))

            yield write

    return open_csv


FORMATS: Mapping[str, TableFormat] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "csv": _csv(","),
    "tsv": _csv("\t"),
}


def _decoded(field: pa.Field) -> pa.Field:
    is_coded = types.is_dictionary(field.type)
    return field.with_type(field.type.value_type) if is_coded else field


def _plain_field(field: pa.Field) -> pa.Field:
    is_plain = any(is_it(field.type) for is_it in _PLAIN)
    return pa.field(field.name, field.type if is_plain else pa.string())


def _as_texts(column: pa.ChunkedArray) -> pa.Array:
    """Write values as they stand in a prompt; bytes that are no text as base64."""
    return pa.array([_text(each) for each in python_values(column)], pa.string())


def _text(value: object) -> str | None:
    try:
        return text_of(value)
    except ValueError:
        return text_of([value])[2:-2]  # type: ignore[index]  # base64, as inside of a list
