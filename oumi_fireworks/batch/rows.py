"""One row of a batch: the line that goes in, and the line that comes out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import orjson

from oumi_fireworks.api.lenient_json import lenient_loads, without_lone_surrogates

_CUSTOM_ID = re.compile(r"request-(0|[1-9][0-9]{0,14})")
_EXCERPT = 500

# Line separators to Unicode, though not to JSON Lines. Escaped, so that a reader who splits
# with `str.splitlines` cannot break our rows. In JSON they can only stand inside a string.
_SEPARATORS = (
    (b"\xa8", "\u2028".encode(), b"\\u2028"),
    (b"\xa9", "\u2029".encode(), b"\\u2029"),
    (b"\x85", "\u0085".encode(), b"\\u0085"),
)


class RowState(IntEnum):
    """What is known of a row. A larger one beats a smaller one for the same row."""

    MISSING = 0
    FAILED = 1
    ANSWERED = 2


@dataclass(frozen=True)
class Answer:
    """The service answered the row.

    Attributes:
        index: The row's position in the batch, zero-based.
        completion: The chat completion, as the service sent it.
    """

    index: int
    completion: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """The service could not answer the row.

    Attributes:
        index: The row's position in the batch, zero-based.
        message: In the service's words.
        code: The service's code, where it gives one.
    """

    index: int
    message: str
    code: str | None = None


@dataclass(frozen=True)
class UnreadableAnswer(Failure):
    """The service answered the row with something that the caller cannot use."""


@dataclass(frozen=True)
class Missing:
    """The row is in none of the result files.

    Attributes:
        index: The row's position in the batch, zero-based.
    """

    index: int


Outcome = Answer | Failure | Missing


class BrokenLineError(ValueError):
    """A line of a result file is not JSON."""


class AlienLineError(ValueError):
    """A line of a result file belongs to none of our rows."""


def custom_id(index: int) -> str:
    """Return the id that carries a row through Fireworks."""
    return f"request-{index}"


def row_index(name: object) -> int | None:
    """Return the index that a custom_id carries; None where it is none of ours."""
    match = _CUSTOM_ID.fullmatch(name) if isinstance(name, str) else None
    return None if match is None else int(match[1])


def encode_row(index: int, body: Mapping[str, Any]) -> bytes:
    r"""Return a request as a line of a batch's input file, ``\n`` included.

    Args:
        index: The row's position in the batch, zero-based.
        body: A chat completion request without ``model``, which is the job's.
    """
    row = {"custom_id": custom_id(index), "body": body}
    try:
        line = orjson.dumps(row, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        line = without_lone_surrogates(json.dumps(row))
    for last_byte, separator, escape in _SEPARATORS:
        if last_byte in line:  # found out in a tenth of the time
            line = line.replace(separator, escape)
    return line + b"\n"


def parse_line(line: bytes, rows: int) -> Answer | Failure:
    """Read a line of a result file.

    Args:
        line: The line, with or without its end.
        rows: How many rows the batch has.

    Raises:
        BrokenLineError: If it is not JSON.
        AlienLineError: If it is JSON that names no row of the batch.
    """
    try:
        row = lenient_loads(line)
    except ValueError as error:
        raise BrokenLineError(str(error)) from error
    if not isinstance(row, dict):
        raise AlienLineError("not an object")
    index = row_index(row.get("custom_id"))
    if index is None or index >= rows:
        raise AlienLineError(_excerpt(line))
    response = row.get("response")
    if isinstance(response, dict) and _is_completion(response):
        return Answer(index, response)
    return _failure(index, row, line)


def _is_completion(response: Mapping[str, Any]) -> bool:
    choices = response.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and isinstance(choices[0], dict)
        and isinstance(choices[0].get("message"), dict)
    )


def _failure(index: int, row: Mapping[str, Any], line: bytes) -> Failure:
    """Find the service's words in a row without a completion.

    The shape of ``error-data`` is documented nowhere, so every plausible one is understood.
    """
    for holder in (row, row.get("response")):
        error = holder.get("error") if isinstance(holder, dict) else None
        if isinstance(error, str) and error:
            return Failure(index, error)
        if isinstance(error, dict) and error:
            message, code = error.get("message"), error.get("code")
            return Failure(
                index,
                message if isinstance(message, str) and message else _excerpt(line),
                str(code) if isinstance(code, str | int | float) else None,
            )
    return Failure(index, f"no completion and no error in: {_excerpt(line)}")


def _excerpt(line: bytes) -> str:
    """Return the beginning of a line: of what is in it, nothing is safe to be shown otherwise.

    Values may be nested deeper than Python's recursion goes.
    """
    return line[:_EXCERPT].decode("utf-8", "replace").strip()
