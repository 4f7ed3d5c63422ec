"""The values of Arrow's columns as Python has them, and as texts where Python has none."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as types

_NOT_HELD = (ArithmeticError, ValueError, LookupError)
"""What pyarrow raises for a time that Python cannot hold, or whose zone nobody knows."""


def python_values(array: pa.Array | pa.ChunkedArray) -> list[object]:
    """Return values as Python has them, null as None.

    A date or time outside of Python's years (1 to 9999), one of an unknown zone, and a duration
    that is too long become texts, each by itself: the other values stay as they are. So does a time
    of a day with nanoseconds, which pyarrow would cut.
    """
    if types.is_time64(array.type) and array.type.unit == "ns":
        return [_text(each) if (each.value or 0) % 1000 else each.as_py() for each in array]
    try:
        values: list[object] = array.to_pylist(maps_as_pydicts="lossy")
    except _NOT_HELD:
        return [_value(each) for each in array]
    return values


def _value(scalar: pa.Scalar) -> object:
    try:
        value: object = scalar.as_py(maps_as_pydicts="lossy")
    except _NOT_HELD:
        return _held(scalar)
    return value


def _held(scalar: pa.Scalar) -> object:
    """Return what has a part that Python cannot hold: that part as text."""
    kind = scalar.type
    if types.is_struct(kind):
        return {name: _value(each) for name, each in scalar.items()}
    if types.is_map(kind):
        return {_value(each["key"]): _value(each["value"]) for each in scalar.values}
    if types.is_nested(kind):
        return [_value(each) for each in scalar.values]
    if types.is_dictionary(kind):
        return _value(scalar.value)
    return _text(scalar)


def _text(scalar: pa.Scalar) -> str:
    kind = scalar.type
    if types.is_timestamp(kind) and kind.tz is not None:
        # The zone is unknown, or takes it out of range. The moment itself is kept, as UTC.
        return f"{_text(pa.scalar(scalar.value, pa.timestamp(kind.unit)))}Z"
    text = str(scalar.cast(pa.string()).as_py())
    if text.startswith("<"):  # pyarrow's words for years that it does not write
        return f"{scalar.value} {kind}"
    return text.replace(" ", "T", 1)
