"""What became of every row: an index over result files, and the rows in their own order."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.batch.outcomes import (
    AlienLineError,
    Answer,
    BrokenLineError,
    Failure,
    Missing,
    Outcome,
    OverBudget,
    Rejected,
    RowState,
    UnreadableAnswer,
    parse_answer,
    parse_line,
    repeated,
)
from oumi_fireworks.batch.rejections import AnswerPlace, Rejections
from oumi_fireworks.batch.repeats import Repeats
from oumi_fireworks.garbage import collection_paused
from oumi_fireworks.grammar import number

_MOST_FILES = 1 << 16
"""Result files of a batch: they are numbered by 16 bits."""

_LONGEST_LINE_BYTES = 256 << 20
"""No answer is larger; a longer line is broken, and must not be read into memory whole."""

_LINES_LOOKED_AT = 100
"""Lines at the beginning of a file that show whether the ids of its rows carry digests."""

_BUFFER_BYTES = 1 << 20

_ANSWERED, _FAILED = RowState.ANSWERED, RowState.FAILED
"""Looked up for every line: in the class it takes longer than all that is done with them."""

_NOT_SENT = 255
"""Stands for the state of a row that another one asks for. No line is better."""

OnOutcome = Callable[[Answer | Failure], str | Rejection | None]
"""Told about each outcome as it is read, and again about a rejected one that is looked at later. A
later one for the same row is better than the first. May say why an answer is of no use: then its
row is a failed one; or why it does not hold: then it is a rejected one. None takes the answer."""

_NO_LONGER_REJECTED = Rejection("rejected", "The answer was rejected, and would not be now.", 0)


@dataclass(frozen=True)
class RowCounts:
    """How many rows have which outcome, and how many lines were of no use.

    Attributes:
        answered: Rows with an answer, one that holds.
        failed: Rows with an error of the service.
        missing: Rows in none of the files.
        over_budget: Rows that were never sent, since the budget did not allow it.
        duplicates: Lines for a row that had a line as good already.
        aliens: Lines that name none of our rows.
        broken: Lines that are not JSON.
        rejected: Rows whose answers do not hold.
    """

    answered: int = 0
    failed: int = 0
    missing: int = 0
    over_budget: int = 0
    duplicates: int = 0
    aliens: int = 0
    broken: int = 0
    rejected: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every row is answered."""
        return not self.failed and not self.missing and not self.rejected and not self.over_budget

    @property
    def rows(self) -> dict[str, int]:
        """The rows by outcome, as a plain dictionary."""
        rows = {
            "answered": self.answered,
            "rejected": self.rejected,
            "failed": self.failed,
            "missing": self.missing,
        }
        return rows | ({"over_budget": self.over_budget} if self.over_budget else {})

    def __str__(self) -> str:
        parts = [
            f"{self.answered:,} answered",
            *([f"{self.rejected:,} rejected"] if self.rejected else []),
            f"{self.failed:,} failed",
            f"{self.missing:,} missing",
        ]
        parts += [f"{self.over_budget:,} over budget"] if self.over_budget else []
        odd = {"duplicate": self.duplicates, "alien": self.aliens, "broken": self.broken}
        parts += [
            f"{number(count, f'{name} line')} ignored" for name, count in odd.items() if count
        ]
        return ", ".join(parts)


@dataclass
class Mismatches:
    """Lines of result files that answer another prompt than the one that is asked about.

    Attributes:
        lines: How many.
        first: The first row, in the order of the input, that has one; None without any.
    """

    lines: int = 0
    first: int | None = None

    def add(self, row: int) -> None:
        """Count one."""
        self.lines += 1
        self.first = row if self.first is None else min(self.first, row)


class ResultIndex:
    """Which line of which file holds each row's outcome: 12 bytes a row.

    A success beats a failure for the same row, the first success stands, and lines that cannot
    be used are counted, never fatal. Of answers that do not hold the best is kept.

    Args:
        rows: How many rows the batch has.
        digests: The digest of each row's prompt. Lines that are for another prompt are counted in
            :attr:`mismatches` and left out. None takes every line at its word.
        on_outcome: Told about each outcome, for whoever wants them in any order: it saves reading
            them again. Judges the answers.
        repeats: Rows that were not sent, since another one asks the same. They are counted when
            :meth:`share` has given them an outcome.
    """

    def __init__(
        self,
        rows: int,
        digests: Sequence[int] | None = None,
        on_outcome: OnOutcome | None = None,
        repeats: Repeats | None = None,
    ) -> None:
        if digests is not None and len(digests) != rows:
            raise ValueError(f"{number(len(digests), 'digest')} for {number(rows, 'row')}.")
        self._states = bytearray(rows)
        self._repeats = repeats or Repeats()
        for row, _ in self._repeats:
            self._states[row] = _NOT_SENT
        self._file_numbers = array("H", bytes(2 * rows))
        self._offsets = array("Q", bytes(8 * rows))
        self._digests = digests
        self._on_outcome = on_outcome
        self._faults: dict[int, str] = {}
        self._rejected_now = bytearray(rows if on_outcome else 0)
        self._files: list[Path] = []
        self._duplicates = self._aliens = self._broken = 0
        self._has_arrived = bytearray(rows)
        self._over_budget = bytearray()
        self.arrived = 0
        """Rows with an answer in the files since :meth:`begin_group`; and broken lines there."""
        self.mismatches = Mismatches()
        """The lines that answer another prompt than the row's."""
        self.unnamed = 0
        """Lines whose id does not say which prompt they are for."""
        self.rejections = Rejections(rows)
        """The answers that do not hold, also those of rows that were answered later."""

    @classmethod
    def of(
        cls,
        files: Iterable[Path],
        rows: int,
        on_outcome: OnOutcome | None = None,
        digests: Sequence[int] | None = None,
        repeats: Repeats | None = None,
    ) -> ResultIndex:
        """Read result files, in any order of rows, as a stream.

        Args:
            files: The files.
            rows: How many rows the batch has.
            on_outcome: As for the class.
            digests: As for the class.
            repeats: As for the class.
        """
        index = cls(rows, digests, on_outcome, repeats)
        for file in files:
            index.add(file)
        return index

    def __len__(self) -> int:
        return len(self._states)

    def begin_group(self) -> None:
        """Count :attr:`arrived` anew: the files that follow are those of a further batch."""
        self._has_arrived = bytearray(len(self._states))
        self._rejected_now = bytearray(len(self._rejected_now))
        self.arrived = 0

    def add(self, path: Path) -> None:
        """Read one more file, for instance of a further attempt. See :meth:`of`."""
        number = len(self._files)
        if number >= _MOST_FILES:
            raise ValueError(f"More than {_MOST_FILES} result files.")
        self._files.append(path)
        is_named = self._digests is not None and self._is_named(path)
        with collection_paused():
            for offset, line in result_lines(path):
                outcome = self._read(line, is_named=is_named)
                if outcome is not None:
                    self._enter(outcome, AnswerPlace(number, offset))

    def _is_named(self, path: Path) -> bool:
        """Tell whether the ids of a file's rows carry digests, by its first lines."""
        for _, line in islice(result_lines(path), _LINES_LOOKED_AT):
            with suppress(BrokenLineError, AlienLineError):
                if line is not None and parse_line(line, len(self)).digest is not None:
                    return True
        return False

    def _read(self, line: bytes | None, *, is_named: bool) -> Answer | Failure | None:
        """Read a line, and count it; None if nothing comes of it."""
        if line is None:
            self._broken += 1
            return None
        try:
            outcome = parse_line(line, len(self._states))
        except BrokenLineError:
            self._broken += 1
            self.arrived += line.endswith(b"\n")  # not the end of a file that was cut
            return None
        except AlienLineError:
            self._aliens += 1
            return None
        row = outcome.index
        if outcome.digest is None and is_named:
            self._aliens += 1  # every row of ours in this file says which prompt it is for
            return None
        if outcome.digest is None:
            self.unnamed += 1
        elif self._digests is not None and outcome.digest != self._digests[row]:
            self.mismatches.add(row)
            return None
        state = _FAILED
        if isinstance(outcome, Answer):
            state = _ANSWERED
            if not self._has_arrived[row]:
                self._has_arrived[row] = True
                self.arrived += 1
        if self._states[row] >= state:
            self._duplicates += 1
            return None
        return outcome

    def _enter(self, outcome: Answer | Failure, at: AnswerPlace) -> None:
        """Take the outcome of a row that has none as good."""
        row = outcome.index
        found = None if self._on_outcome is None else self._on_outcome(outcome)
        if found is None or isinstance(outcome, Failure):
            is_answer = isinstance(outcome, Answer)
            self._place(row, _ANSWERED if is_answer else _FAILED, at)
        elif isinstance(found, Rejection):
            if self._rejected_now[row]:  # the same attempt's answer to the row, once more
                self._duplicates += 1
                return
            self._rejected_now[row] = True
            if self.rejections.add(row, at, found, outcome.completion):
                self._place(row, RowState.REJECTED, at)
        elif self._states[row] <= RowState.FAILED:
            self._faults[row] = found
            self._place(row, RowState.FAILED, at)

    def _place(self, row: int, state: RowState, at: AnswerPlace) -> None:
        self._states[row] = state
        self._file_numbers[row], self._offsets[row] = at

    def share(self) -> None:
        """Give each repeat the outcome of the row that asks the same; idempotent."""
        for row, first in self._repeats:
            self._states[row] = self._states[first]
        if self._on_outcome is not None:
            rows = (row for row, _ in self._repeats if self._states[row] == RowState.ANSWERED)
            for outcome in self.outcomes(rows):
                if isinstance(outcome, Answer):
                    self._on_outcome(outcome)

    def was_sent(self, row: int) -> bool:
        """Tell whether a row was sent itself, and not answered with one that asks the same."""
        return not self._repeats or self._repeats.first_of(row) == row

    def state(self, row: int) -> RowState:
        """Return what is known of a row."""
        return RowState(self._states[row])

    def note_over_budget(self, rows: Iterable[int]) -> None:
        """Note that rows were never sent, since the budget did not allow it."""
        self._over_budget = bytearray(len(self))
        for row in rows:
            self._over_budget[row] = self._states[row] == RowState.MISSING
        for row, first in self._repeats:
            self._over_budget[row] = self._over_budget[first]

    @property
    def counts(self) -> RowCounts:
        """Count the outcomes."""
        over_budget = self._over_budget.count(True)
        return RowCounts(
            answered=self._states.count(RowState.ANSWERED),
            failed=self._states.count(RowState.FAILED),
            missing=self._states.count(RowState.MISSING) - over_budget,
            over_budget=over_budget,
            duplicates=self._duplicates,
            aliens=self._aliens + self.mismatches.lines,
            broken=self._broken,
            rejected=self._states.count(RowState.REJECTED),
        )

    @property
    def unusable(self) -> int:
        """Count the rows whose only answer is of no use (:data:`OnOutcome`)."""
        return sum(self._states[row] == RowState.FAILED for row in self._faults)

    def unanswered(self) -> Iterator[int]:
        """Yield the rows that were rejected, have failed or are missing, in order."""
        return (row for row, state in enumerate(self._states) if state != RowState.ANSWERED)

    def rejected(self, most: int | None = None) -> Iterator[int]:
        """Yield the rejected rows in order.

        Args:
            most: Only those of which so many answers were rejected at the most.
        """
        if not self.rejections.answers:
            return
        for row, state in enumerate(self._states):
            if state == RowState.REJECTED and (most is None or self.rejections.times(row) <= most):
                yield row

    def first_answers(self, rows: Iterable[int]) -> Iterator[Answer | None]:
        """Yield the first rejected answer of each of these rows; None where none was rejected."""
        with _OpenFiles(self._files) as files:
            for row in rows:
                at = self.rejections.first(row)
                yield None if at is None else parse_answer(files.line(*at), row)

    def outcomes(self, rows: Iterable[int] | None = None) -> Iterator[Outcome]:
        """Yield the outcome of every row, in the order of the input.

        Args:
            rows: Only these, in this order.
        """
        with _OpenFiles(self._files) as files:
            for row in range(len(self)) if rows is None else rows:
                first = self._repeats.first_of(row) if self._repeats else row
                outcome = self._outcome(first, files)
                yield outcome if first == row else repeated(outcome, row)

    def _outcome(self, row: int, files: _OpenFiles) -> Outcome:
        """Return the outcome of a row that was sent."""
        state = self._states[row]
        if state == _ANSWERED:  # first, as nearly all are
            return parse_answer(files.line(self._file_numbers[row], self._offsets[row]), row)
        if state == RowState.MISSING:
            is_over_budget = self._over_budget and self._over_budget[row]
            return OverBudget(row) if is_over_budget else Missing(row)
        if state == RowState.FAILED and row in self._faults:
            return UnreadableAnswer(row, self._faults[row])
        line = files.line(self._file_numbers[row], self._offsets[row])
        if state == RowState.REJECTED:
            return self._rejected(parse_answer(line, row))
        return parse_line(line, len(self))

    def _rejected(self, answer: Answer) -> Rejected:
        """Judge an answer again, rather than to remember of each what was wrong with it."""
        found = None if self._on_outcome is None else self._on_outcome(answer)
        rejection = found if isinstance(found, Rejection) else _NO_LONGER_REJECTED
        times = self.rejections.times(answer.index)
        return Rejected(answer.index, answer.completion, rejection, times)


class _OpenFiles:
    """Result files for reading at random, opened on first use and closed together."""

    _MOST_OPEN = 64

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: dict[int, BinaryIO] = {}

    def __enter__(self) -> _OpenFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def line(self, number: int, offset: int) -> bytes:
        file = self._open.get(number)
        if file is None:
            if len(self._open) >= self._MOST_OPEN:
                self._close()
            file = self._open[number] = self._paths[number].open("rb")
        file.seek(offset)
        return file.readline()

    def _close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()


def readable_lines(path: Path, rows: int) -> Iterator[tuple[bytes, Answer | Failure]]:
    """Yield each line of a result file that tells of a row of ours, with what it tells.

    Args:
        path: The file.
        rows: How many rows the batch has.
    """
    for _, line in result_lines(path):
        if line is None:
            continue
        try:
            outcome = parse_line(line, rows)
        except (AlienLineError, BrokenLineError):
            continue
        yield line, outcome


def result_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    r"""Yield each line with its offset; None for one that is too long to read.

    Split on ``\n`` bytes alone: Unicode has other line separators, and JSON strings may hold them.
    """
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        offset = 0
        while line := file.readline(_LONGEST_LINE_BYTES):
            size = len(line)
            if size == _LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = file.readline(_LONGEST_LINE_BYTES)
                    size += len(line)
                yield offset, None
            elif not line.isspace():  # strip() would copy it
                yield offset, line
            offset += size
