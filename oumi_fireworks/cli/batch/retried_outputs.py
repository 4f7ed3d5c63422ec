"""Outputs whose open rows are run again: where those are, and how their answers get in.

An output of conversations has the rows that are answered; every other one has all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oumi_fireworks.cli.batch.open_rows import (
    EarlierAnswers,
    OpenRow,
    OutputCursor,
    open_conversations,
    output_lines,
    places_of,
    with_earlier,
)
from oumi_fireworks.cli.batch.own_lines import FailureLines, own_lines_if_any
from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.errors import Problem
from oumi_fireworks.grammar import ended
from oumi_fireworks.tables.answer_columns import COLUMNS, AnswerColumns
from oumi_fireworks.tables.answer_lines_sink import AnswerLinesSink
from oumi_fireworks.tables.conversation_sink import ConversationSink
from oumi_fireworks.tables.conversations import ConversationReader, LeftOutRow, SentRow
from oumi_fireworks.tables.kept_lines import KeptResults
from oumi_fireworks.tables.kept_rows import BAD_ROW, KeptOutput, KeptRow
from oumi_fireworks.tables.openai_sink import OpenAISink
from oumi_fireworks.tables.output import LocalOutput, errors_path
from oumi_fireworks.tables.sink import Sink
from oumi_fireworks.user_json import dumps, loads


@dataclass(frozen=True)
class Further:
    """What a retry has brought.

    Attributes:
        answers: The output of its rows, by :meth:`RetriedOutput.sink`.
        copied: The copy of its rows.
        earlier: Those of them that were rejected before.
    """

    answers: Path
    copied: Path
    earlier: EarlierAnswers


class RetriedOutput(Protocol):
    """An output."""

    def open_rows(self, reader: ConversationReader) -> Iterator[OpenRow]:
        """Yield the rows that have no answer.

        Args:
            reader: The whole input.

        Raises:
            WrongUseError: If the output is not of this input.
        """

    def sink(self, answers: Path) -> Sink:
        """Return what takes further answers, for :meth:`merge`."""

    def merge(self, reader: ConversationReader, further: Further) -> None:
        """Put further answers in, each in its place, and leave the failures that remain.

        Right also where an earlier process was stopped between replacing the one file and the
        other.
        """


class RetriedConversations:
    """An output of conversations.

    Args:
        output: The output.
    """

    def __init__(self, output: Path) -> None:
        self._output = output

    def open_rows(self, reader: ConversationReader) -> Iterator[OpenRow]:
        """Yield the rows that have no answer."""
        return open_conversations(reader, self._output)

    def sink(self, answers: Path) -> Sink:
        """Return what takes further answers."""
        return ConversationSink(LocalOutput(answers))

    def merge(self, reader: ConversationReader, further: Further) -> None:
        """Put further answers in."""
        output, answers = self._output, further.answers
        before, new = OutputCursor(output), OutputCursor(answers)
        failed_before = OutputCursor(errors_path(output))
        failed, known = OutputCursor(errors_path(answers)), further.earlier.by_name()
        place = LocalOutput(output)
        with place.writing() as kept, place.errors.writing(unless_empty=True) as errors:
            for line in output_lines(errors_path(output)):
                if line.get("index") is None:  # a line of the input that was left out
                    errors.write(dumps(line) + b"\n")
            rows = (item for item in reader.conversations() if not isinstance(item, Problem))
            for index, conversation in enumerate(rows):
                name = str(conversation.conversation_id)
                answer_before, failure_before = before.take(name), failed_before.take(name)
                failure, rejected = failed.take(name), known.take(name)
                if (answer := new.take(name) or answer_before) is not None:
                    kept.write(answer + b"\n")
                elif failure is not None:
                    line = with_earlier(loads(failure), rejected)
                    errors.write(dumps(line | {"index": index}) + b"\n")
                elif failure_before is not None:  # it was not run again
                    errors.write(failure_before + b"\n")


class RetriedTable:
    """An output with a row for each of the input's that can be read.

    Args:
        output: The output.
        kept: Reads it.
        columns: What is in its answer columns.
    """

    def __init__(self, output: Path, kept: KeptOutput, columns: AnswerColumns) -> None:
        self._output = output
        self._kept = kept
        self._columns = columns

    def open_rows(self, reader: ConversationReader) -> Iterator[OpenRow]:
        """Yield the rows that have no answer."""
        rows = enumerate(self._kept.rows())
        failures = FailureLines(errors_path(self._output))
        for item in reader.sent_rows():
            if isinstance(item, LeftOutRow) and not _has_columns(item):
                continue
            number, found = next(rows, (-1, None))
            is_sent = found is not None and found.outcome != BAD_ROW
            if found is None or is_sent == isinstance(item, LeftOutRow):
                raise _other_input(self._output, f"{item.row.place} is not the row that it has")
            if isinstance(item, LeftOutRow):
                continue
            failure, _ = failures.of(item.index) or (None, {})
            if found.outcome == "answered" or (found.outcome == "rejected" and failure is None):
                continue  # without a line among the errors, a rejected answer is kept, marked
            if (name := _other_text(item.row.fields(), found.own)) is not None:
                why = f"{item.row.place} has another {name!r} than the row in its place"
                raise _other_input(self._output, why)
            yield _open_row(item, number, failure, _failure_in(found), self._output)
        if next(rows, None) is not None:
            raise _other_input(self._output, "it has more rows")

    def sink(self, answers: Path) -> Sink:
        """Return what takes further answers."""
        return AnswerLinesSink(LocalOutput(answers), self._columns)

    def merge(self, reader: ConversationReader, further: Further) -> None:
        """Put further answers in."""
        rows = _Retried(further)

        def new(number: int) -> list[Any] | None:
            line = rows.take(number)
            return None if line is None else [line[name] for name in COLUMNS]

        self._kept.rewrite(LocalOutput(self._output), new)
        _rewrite_errors(self._output, further)


class RetriedResults:
    """An output in the form of OpenAI's Batch API.

    Args:
        output: The output.
        kept: Reads it.
    """

    def __init__(self, output: Path, kept: KeptResults) -> None:
        self._output = output
        self._kept = kept

    def open_rows(self, reader: ConversationReader) -> Iterator[OpenRow]:
        """Yield the rows that have no answer."""
        lines = self._kept.lines()
        failures = FailureLines(errors_path(self._output))
        for item in reader.sent_rows():
            if isinstance(item, LeftOutRow):
                continue
            name = str(item.conversation().conversation_id)
            line = next(lines, None)
            if line is None or line["custom_id"] != name:
                raise _other_input(self._output, f"it has no line for {name}, or not in this order")
            failure, _ = failures.of(item.index) or (None, {})
            if line["response"] is None:
                said = line["error"] or {}
                error = {"kind": said.get("code"), "message": said.get("message"), "code": None}
                yield _open_row(item, item.index, failure, error, self._output)
        if next(lines, None) is not None:
            raise _other_input(self._output, "it has more rows")

    def sink(self, answers: Path) -> Sink:
        """Return what takes further answers."""
        return OpenAISink(LocalOutput(answers))

    def merge(self, reader: ConversationReader, further: Further) -> None:
        """Put further answers in."""
        rows = _Retried(further)

        def new(number: int) -> bytes | None:
            line = rows.take(number)
            return None if line is None else dumps({**line, "id": OpenAISink.id_of(number)})

        self._kept.rewrite(LocalOutput(self._output), new)
        _rewrite_errors(self._output, further)


class _Retried:
    """The rows of a retry with what has become of them, in the order of the output."""

    def __init__(self, further: Further) -> None:
        self._places = places_of(further.copied)
        self._lines = output_lines(further.answers)
        self._failed = OutputCursor(errors_path(further.answers))
        self._known = further.earlier.by_name()
        self._place = next(self._places, None)

    def take(self, number: int) -> dict[str, Any] | None:
        """Return the line that takes the place of a row; None if it stays as it is."""
        if self._place is None or self._place["number"] != number:
            return None
        name = self._place["name"]
        line, failure = next(self._lines), self._failed.take(name)
        is_worse = failure is not None and "rejected" not in loads(failure)
        is_known = self._known.take(name) is not None
        self._place = next(self._places, None)
        return None if is_known and is_worse else line


def _rewrite_errors(output: Path, further: Further) -> None:
    """Leave the failures that remain: those of the retry, and those of rows that were not in it."""
    failed = OutputCursor(errors_path(further.answers))
    known = further.earlier.by_name()
    places = places_of(further.copied)
    place = next(places, None)
    with LocalOutput(output).errors.writing(unless_empty=True) as errors:

        def write_until(index: float) -> None:
            nonlocal place
            while place is not None and place["index"] <= index:
                failure, rejected = failed.take(place["name"]), known.take(place["name"])
                if failure is not None:
                    line = with_earlier(loads(failure), rejected) | {"index": place["index"]}
                    errors.write(dumps(line) + b"\n")
                place = next(places, None)

        retried = {each["index"] for each in places_of(further.copied)}
        for line, row in own_lines_if_any(errors_path(output)):
            index = row.get("index")
            if isinstance(index, int):
                write_until(index)
            if index not in retried:
                errors.write(line + b"\n")
        write_until(float("inf"))


def _open_row(
    item: SentRow, number: int, failure: bytes | None, error: dict[str, Any], output: Path
) -> OpenRow:
    """Return an open row; without a line among the errors, what the output says has to do."""
    name = str(item.conversation().conversation_id)
    if failure is None:
        failure = dumps({"index": item.index, "conversation_id": name, "error": error})
    elif loads(failure).get("conversation_id") != name:
        raise _other_input(output, f"it has another conversation in the place of {name}")
    return OpenRow(item.row, name, failure, item.index, number)


def _failure_in(row: KeptRow) -> dict[str, Any]:
    return {"kind": row.outcome, "message": row.values["error"], "code": None}


def _other_text(fields: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """Return a column of which a row of the input has another text than the output, if any.

    An output may have been sorted by hand. Numbers and times are not compared, which formats write
    in ways of their own, and neither is white space.
    """
    for name, text in own.items():
        asked = fields.get(name)
        if isinstance(text, str) and isinstance(asked, str) and text.split() != asked.split():
            return name
    return None


def _has_columns(item: LeftOutRow) -> bool:
    """Tell whether a row that was left out is in a table all the same."""
    try:
        item.row.fields()
    except ValueError:
        return False
    return True


def _other_input(output: Path, why: str) -> WrongUseError:
    return WrongUseError(f"{output} is not of this input: {ended(why)} Nothing was sent.")
