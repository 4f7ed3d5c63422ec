"""The kinds of files with tables in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.tables.arrow_files import ArrowTable
from oumi_fireworks.tables.csv_files import CsvTable
from oumi_fireworks.tables.files import ReadableFile
from oumi_fireworks.tables.parquet_files import ParquetTable
from oumi_fireworks.tables.table_source import TableFile, TableSource

_KINDS: Mapping[str, Callable[[ReadableFile], TableFile]] = {
    "parquet": ParquetTable,
    "arrow": ArrowTable,
    "csv": CsvTable,
    "tsv": lambda file: CsvTable(file, "\t"),
}


def open_table(kind: str, files: Sequence[ReadableFile], options: InputOptions) -> TableSource:
    """Return what gives the rows of a table.

    Args:
        kind: What its files are.
        files: They.
        options: What its columns are for.

    Raises:
        InputError: If it cannot be read.
        ConfigurationError: If a column that is named does not exist.
    """
    return TableSource([open_file(kind, file) for file in files], options)


def open_file(kind: str, file: ReadableFile) -> TableFile:
    """Return what reads one file of a table."""
    return _KINDS[kind](file)
