"""The rows that come back: each line of a result file is an answer to a row, or a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.api.lenient_json import lenient_loads
from oumi_fireworks.batch.requests import RowId
from oumi_fireworks.completions import ANSWERED_BY, FROM_REPEAT, answer_choice
from oumi_fireworks.errors import APIError, FireworksError
from oumi_fireworks.user_json import dumps

_EXCERPT_BYTES = 500
"""Bytes of a row that cannot be read that an error shows."""


class RowState(IntEnum):
    """What is known of a row. A larger one beats a smaller one for the same row."""

    MISSING = 0
    FAILED = 1
    REJECTED = 2
    ANSWERED = 3


@dataclass(slots=True)  # not frozen: that takes three times as long to make, for every row
class Answer:
    """The service answered the row.

    Attributes:
        index: The row's position in the batch, zero-based.
        completion: The chat completion, as the service sent it.
        digest: Of the prompt that was answered, where the row's id has it.
    """

    index: int
    completion: Mapping[str, Any]
    digest: int | None = None


@dataclass(frozen=True)
class Rejected:
    """The service answered the row, and no answer holds.

    Attributes:
        index: The row's position in the batch, zero-based.
        completion: The answer that is kept: of those that came nearest, the last.
        rejection: Why that one does not hold.
        times: How many attempts at the row have brought an answer that does not hold.
    """

    index: int
    completion: Mapping[str, Any]
    rejection: Rejection
    times: int


@dataclass(frozen=True)
class Failure:
    """The service could not answer the row.

    Attributes:
        index: The row's position in the batch, zero-based.
        message: In the service's words.
        code: The service's code, where it gives one.
        digest: Of the prompt that failed, where the row's id has it.
    """

    index: int
    message: str
    code: str | None = None
    digest: int | None = None


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


@dataclass(frozen=True)
class OverBudget(Missing):
    """The row was never sent: the budget did not allow it."""

    @property
    def message(self) -> str:
        """Why it has no answer."""
        return "not sent: max_cost did not allow it"


Outcome = Answer | Rejected | Failure | Missing


def repeated(outcome: Outcome, row: int) -> Outcome:
    """Return the outcome of a row for another one that asks the same; an answer says that it is."""
    if isinstance(outcome, Answer):
        return Answer(row, {**outcome.completion, ANSWERED_BY: FROM_REPEAT})
    return replace(outcome, index=row)


class BrokenLineError(ValueError):
    """A line of a result file is not JSON."""


class AlienLineError(ValueError):
    """A line of a result file belongs to none of our rows."""


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
    name = RowId.parse(row.get("custom_id"))
    if name is None or name.index >= rows:
        raise AlienLineError(_excerpt(line))
    response = row.get("response")
    if isinstance(response, dict) and answer_choice(response) is not None:
        return Answer(name.index, response, name.digest)
    message, code = _reason(row, line)
    return Failure(name.index, message, code, name.digest)


def result_line(name: RowId, outcome: Mapping[str, Any] | FireworksError) -> bytes:
    r"""Return a line for :func:`parse_line` of an outcome that the service has not written down.

    Args:
        name: The row.
        outcome: Its completion, or the error that it was given up for.
    """
    if isinstance(outcome, FireworksError):
        code = outcome.status or None if isinstance(outcome, APIError) else None
        fields: dict[str, Any] = {"error": {"message": str(outcome), "code": code}}
    else:
        fields = {"response": outcome}
    return dumps({"custom_id": str(name), **fields}) + b"\n"


def parse_answer(line: bytes, index: int) -> Answer:
    """Read a line again that :func:`parse_line` has found to answer a row; without its digest."""
    return Answer(index, lenient_loads(line)["response"])


def _reason(row: Mapping[str, Any], line: bytes) -> tuple[str, str | None]:
    """Find the service's words, and its code, in a row without a completion.

    The shape of ``error-data`` is documented nowhere, so every plausible one is understood.
    """
    for holder in (row, row.get("response")):
        error = holder.get("error") if isinstance(holder, dict) else None
        if isinstance(error, str) and error:
            return error, None
        if isinstance(error, dict) and error:
            message, code = error.get("message"), error.get("code")
            return (
                message if isinstance(message, str) and message else _excerpt(line),
                str(code) if isinstance(code, str | int | float) else None,
            )
    return f"no completion and no error in: {_excerpt(line)}", None


def _excerpt(line: bytes) -> str:
    """Return the beginning of a line: of what is in it, nothing is safe to be shown otherwise.

    Values may be nested deeper than Python's recursion goes.
    """
    return line[:_EXCERPT_BYTES].decode("utf-8", "replace").strip()
