"""The rows of an output that are open: copied to be run again, with what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oumi_fireworks.cli.batch.own_lines import own_lines_if_any
from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.tables.conversations import ConversationReader, LeftOutRow
from oumi_fireworks.tables.output import errors_path
from oumi_fireworks.tables.source import InputRow
from oumi_fireworks.user_json import dumps, loads


class EarlierAnswers:
    """The rows of a retry that were rejected before, each as its line among the errors.

    Args:
        path: The file that has them, in the order of the rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: Iterator[dict[str, Any]] = iter(())
        self._next: dict[str, Any] | None = None

    @property
    def exist(self) -> bool:
        """Whether there are any."""
        return self.path.exists() and self.path.stat().st_size > 0

    def of(self, name: str, row: int) -> Mapping[str, Any] | None:
        """Return the line of a row; rows come in their order, and row 0 begins anew."""
        if row == 0:
            self._lines = output_lines(self.path)
            self._next = next(self._lines, None)
        if self._next is None or str(self._next["conversation_id"]) != name:
            return None
        found, self._next = self._next, next(self._lines, None)
        return found

    def by_name(self) -> OutputCursor:
        """Go through them by the ids of their conversations."""
        return OutputCursor(self.path)


@dataclass(frozen=True)
class OpenRows:
    """What was found open.

    Attributes:
        copied: Rows that are to be run again.
        left: Rejected rows that are not.
    """

    copied: int
    left: int


@dataclass(frozen=True)
class OpenRow:
    """A row of an output that has no answer.

    Attributes:
        row: The row of the input.
        name: The id of its conversation.
        failure: Its line among the errors.
        index: Its position among the rows that were sent.
        number: Its position in an output that has all rows.
    """

    row: InputRow
    name: str
    failure: bytes
    index: int
    number: int


def open_conversations(reader: ConversationReader, output: Path) -> Iterator[OpenRow]:
    """Yield the rows without an answer in an output of conversations.

    Each keeps the id that it has in the output, which comes from its place in the whole input.

    Args:
        reader: The whole input.
        output: The output.

    Raises:
        WrongUseError: If the output is not of this input.
    """
    answered, failed = OutputCursor(output), OutputCursor(errors_path(output))
    for item in reader.sent_rows():
        if isinstance(item, LeftOutRow):
            continue
        name = str(item.conversation().conversation_id)
        if answered.take(name) is not None:
            continue
        failure = failed.take(name)
        if failure is None:
            raise WrongUseError(
                f"{output} is not of this input: it has neither an answer nor a failure for "
                f"the conversation {name}, or not in this order. Nothing was sent."
            )
        yield OpenRow(item.row, name, failure, item.index, item.index)
    for cursor in (answered, failed):
        if cursor.name is not None:
            raise WrongUseError(
                f"{output} is not of this input: the conversation {cursor.name} is not in it. "
                "Nothing was sent."
            )


def copy_open_rows(
    rows: Iterable[OpenRow],
    copied: Path,
    earlier: EarlierAnswers,
    asked: str,
    times_left: Callable[[int], int],
) -> OpenRows:
    """Copy the lines of the rows that are to be run again, and note their places.

    A row that was rejected is run with other parameters than before, or not.

    Args:
        rows: The open rows.
        copied: Where the lines go; their places go beside it (:func:`places_of`).
        earlier: Where the lines of those go that were rejected before, with what rows are asked for
            with now.
        asked: Names what rows are asked for with now.
        times_left: Tells how often a row may be run again that was rejected so often with that.
    """
    count = left = 0
    with (
        copied.open("wb") as file,
        earlier.path.open("wb") as rejected,
        _places_path(copied).open("wb") as places,
    ):
        for each in rows:
            known = loads(each.failure)
            if "rejected" in known and known.get("asked") == asked:
                if times_left(known["rejected"]) < 1:
                    left += 1
                    continue
                rejected.write(each.failure + b"\n")
            file.write(dumps(each.row.as_line(each.name)) + b"\n")
            place = {"name": each.name, "index": each.index, "number": each.number}
            places.write(dumps(place) + b"\n")
            count += 1
    return OpenRows(count, left)


def places_of(copied: Path) -> Iterator[dict[str, Any]]:
    """Yield ``name``, ``index`` and ``number`` of each row that was copied; see OpenRow."""
    return output_lines(_places_path(copied))


def _places_path(copied: Path) -> Path:
    return copied.with_name("stdin.places")


def has_rejected(output: Path, asked: str) -> bool:
    """Tell whether rows of an output were rejected that were asked for with the same as now."""
    lines = output_lines(errors_path(output))
    return any("rejected" in line and line.get("asked") == asked for line in lines)


def with_earlier(failure: dict[str, Any], earlier: bytes | None) -> dict[str, Any]:
    """Return the line of a row that is open still, with what was known of it before the retry."""
    if earlier is None:
        return failure
    known: dict[str, Any] = loads(earlier)
    if "rejected" not in failure:  # an answer that was paid for is worth more than a failure
        return known
    return {**failure, "rejected": known["rejected"] + failure["rejected"]}


class OutputCursor:
    """Goes through the rows of a file of ours, which are in the order of the input.

    Args:
        path: The file; one that is not there has no rows.
    """

    def __init__(self, path: Path) -> None:
        self._lines = own_lines_if_any(path)
        self._line = b""
        self.name: str | None = None
        """The id of the next row's conversation; None after the last."""
        self._advance()

    def take(self, name: str) -> bytes | None:
        """Return the next row if it is this conversation's, and step over it."""
        if name != self.name:
            return None
        line = self._line
        self._advance()
        return line

    def _advance(self) -> None:
        self.name = None
        for line, row in self._lines:
            if "index" not in row or row["index"] is not None:  # else it is no row
                self._line, self.name = line, str(row.get("conversation_id"))
                return


def output_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file of ours, none where it is not there."""
    return (row for _, row in own_lines_if_any(path))
