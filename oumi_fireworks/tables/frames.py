"""Tables in memory, of pandas, polars or pyarrow: what is given is what comes back.

None of the libraries is loaded that the caller does not use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa


class Frame(Protocol):
    """A table of some library."""

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""

    def table(self, names: Sequence[str]) -> pa.Table:
        """Return some of its columns.

        Raises:
            TypeError: If a column has no type that Arrow knows.
        """

    def with_columns(self, new: Mapping[str, pa.Array]) -> Any:
        """Return a table of the same library with further columns; the given one stays as it is."""


def frame_of(table: object) -> Frame:
    """Return a table, whatever library it is of.

    Raises:
        TypeError: If it is none.
    """
    kind = type(table)
    library = kind.__module__.partition(".")[0]
    if library == "pandas" and kind.__name__ == "DataFrame":
        return _Pandas(table)
    if library == "polars" and kind.__name__ == "DataFrame":
        return _Polars(table)
    if isinstance(table, pa.RecordBatch):
        return _Arrow(pa.Table.from_batches([table]), is_batch=True)
    if isinstance(table, pa.Table):
        return _Arrow(table)
    if hasattr(table, "__arrow_c_stream__"):
        return _Arrow(pa.table(table))
    hint = " Call collect() on it first." if kind.__name__ == "LazyFrame" else ""
    raise TypeError(
        f"infer_table takes a table of pandas, polars or pyarrow, not {library}.{kind.__name__}."
        f"{hint}"
    )


class MemoryTable:
    """Columns of a table in memory, as one of the files of a source.

    Args:
        table: The columns.
        name: What to call it.
    """

    def __init__(self, table: pa.Table, name: str) -> None:
        self._table = table
        self.name = name

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self._table.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        yield from self._table.to_batches()


class _Arrow:
    def __init__(self, table: pa.Table, *, is_batch: bool = False) -> None:
        self._table = table
        self._is_batch = is_batch

    @property
    def columns(self) -> list[str]:
        names: list[str] = self._table.schema.names
        return names

    def table(self, names: Sequence[str]) -> pa.Table:
        return self._table.select(list(names))

    def with_columns(self, new: Mapping[str, pa.Array]) -> Any:
        table = self._table
        for name, array in new.items():
            table = table.append_column(name, array)
        if not self._is_batch:
            return table
        arrays = [each.combine_chunks() for each in table.columns]
        return pa.RecordBatch.from_arrays(
            [each.chunk(0) if isinstance(each, pa.ChunkedArray) else each for each in arrays],
            schema=table.schema,
        )


class _Pandas:
    def __init__(self, frame: Any) -> None:
        self._frame = frame

    @property
    def columns(self) -> list[str]:
        return [str(name) for name in self._frame.columns]

    def table(self, names: Sequence[str]) -> pa.Table:
        arrays = []
        for name in names:
            at = self.columns.index(name)
            try:
                arrays.append(pa.Array.from_pandas(self._frame.iloc[:, at]))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise TypeError(
                    f"The column {name!r} has values of several types: {error}"
                ) from error
        plain = [
            each.combine_chunks() if isinstance(each, pa.ChunkedArray) else each for each in arrays
        ]
        return pa.table(plain, names=list(names))

    def with_columns(self, new: Mapping[str, pa.Array]) -> Any:
        import pandas

        # Tokens stay whole numbers where some are missing.
        whole = {pa.int64(): pandas.Int64Dtype()}
        index = self._frame.index
        columns = {}
        for name, array in new.items():
            series = array.to_pandas(types_mapper=whole.get)
            series.index = index
            columns[name] = series
        return self._frame.assign(**columns)


class _Polars:
    def __init__(self, frame: Any) -> None:
        self._frame = frame

    @property
    def columns(self) -> list[str]:
        return list(self._frame.columns)

    def table(self, names: Sequence[str]) -> pa.Table:
        import polars

        chosen = self._frame.select(list(names))
        for name, kind in chosen.schema.items():
            if kind == polars.Object:  # to Arrow, such a value is an address in memory
                raise TypeError(f"The column {name!r} holds Python objects, not values.")
        try:
            return chosen.to_arrow()
        except pa.ArrowInvalid as error:  # whole numbers of 128 bits, for one
            kinds = ", ".join(f"{name!r} ({kind})" for name, kind in chosen.schema.items())
            raise TypeError(f"Arrow has no type for one of the columns {kinds}: {error}") from error

    def with_columns(self, new: Mapping[str, pa.Array]) -> Any:
        import polars

        made = polars.from_arrow(pa.table(dict(new)))
        assert isinstance(made, polars.DataFrame)
        return self._frame.hstack(made)
