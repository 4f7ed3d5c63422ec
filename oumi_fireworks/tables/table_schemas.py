"""The columns of an input, with their types."""

from __future__ import annotations

from itertools import islice

import pyarrow as pa

from oumi_fireworks.tables.column_types import field_of_values, settled, widened
from oumi_fireworks.tables.source import Source, objects_of
from oumi_fireworks.tables.table_source import TableSource

_ROWS_AT_ONCE = 1000


def schema_of(source: Source) -> pa.Schema:
    """Return the columns of an input: those of a table, or what all lines of JSON come to.

    A field of JSON that has one type in all lines is a column of that type. Whole numbers and
    others are numbers together. Whatever else there is becomes JSON as text.

    Raises:
        InputError: If the input cannot be read.
    """
    if isinstance(source, TableSource):
        return source.schema
    found: dict[str, pa.Field] = {}
    objects = objects_of(source)
    while some := list(islice(objects, _ROWS_AT_ONCE)):
        for name in dict.fromkeys(name for each in some for name in each):
            field = field_of_values(name, [each.get(name) for each in some])
            found[name] = widened(found[name], field) if name in found else field
    return pa.schema([settled(field) for field in found.values()])
