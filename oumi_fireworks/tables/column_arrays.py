"""Columns of an output out of Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from oumi_fireworks.tables.answer_columns import COLUMNS
from oumi_fireworks.tables.column_types import TYPES, is_json
from oumi_fireworks.user_json import dumps, loads

_REFUSED = (pa.ArrowException, OverflowError, TypeError, ValueError)
"""What pyarrow raises for values that a column cannot hold."""


def array_of(values: Sequence[Any], kind: pa.DataType, field: pa.Field | None = None) -> pa.Array:
    """Return a column.

    Args:
        values: Its values.
        kind: Its type.
        field: The column, where it may hold JSON as text.
    """
    if field is not None and is_json(field):
        values = [None if each is None else dumps(each).decode() for each in values]
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 does not have
        return pa.array([_encodable(each) for each in values], kind)


def answer_arrays(
    rows: Sequence[Sequence[Any]], expanded: Mapping[str, pa.Field]
) -> tuple[list[pa.Array], list[pa.Array]]:
    """Return the new columns of rows, and those that their answers are expanded to.

    Args:
        rows: The values of :data:`COLUMNS` for each row.
        expanded: The columns that answers are expanded to, by the names of their fields.
    """
    values: list[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    more, faults = _expanded_arrays(values[COLUMNS.index("answer")], expanded)
    if faults:
        at = COLUMNS.index("error")
        values[at] = [
            faults.get(row) if error is None else error for row, error in enumerate(values[at])
        ]
    own = [array_of(each, TYPES[name]) for name, each in zip(COLUMNS, values, strict=True)]
    return own, more


def _expanded_arrays(
    answers: Sequence[str | None], fields: Mapping[str, pa.Field]
) -> tuple[list[pa.Array], dict[int, str]]:
    """Return the columns that answers are expanded to.

    Args:
        answers: The answers, JSON objects.
        fields: The columns, by the names of the objects' fields.

    Returns:
        The columns, null where an answer does not have what belongs there; and what is wrong with
        an answer, by its position.
    """
    if not fields:
        return [], {}
    faults: dict[int, str] = {}
    objects = [_object_in(answer, at, faults) for at, answer in enumerate(answers)]
    arrays = []
    for name, field in fields.items():
        values = [each.get(name) for each in objects]
        try:
            arrays.append(array_of(values, field.type, field))
        except _REFUSED:
            arrays.append(_fitting(values, name, field, faults))
    return arrays, faults


def _object_in(answer: str | None, at: int, faults: dict[int, str]) -> Mapping[str, Any]:
    if answer is None:
        return {}
    try:
        value = loads(answer.encode("utf-8", "surrogatepass"))
    except ValueError:
        faults[at] = "not expanded: the answer is no JSON"
        return {}
    if not isinstance(value, dict):
        faults[at] = "not expanded: the answer is no JSON object"
        return {}
    return value


def _fitting(values: Sequence[Any], name: str, field: pa.Field, faults: dict[int, str]) -> pa.Array:
    """Return a column of the values that fit into it, and null for the others."""
    kept = []
    for at, value in enumerate(values):
        try:
            kept.append(array_of([value], field.type, field)[0].as_py())
        except _REFUSED:
            kept.append(None)
            faults[at] = f"not expanded: {name!r} is no {field.type}"
    return array_of(kept, field.type)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_encodable(each) for each in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(each) for name, each in value.items()}
    return value
