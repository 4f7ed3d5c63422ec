"""The conversations of an input: those that can be sent, and the other rows by name."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice
from typing import Any, TypeVar

import xxhash
from oumi.core.types.conversation import Conversation

from oumi_fireworks.conversion import Cautions, Prompt
from oumi_fireworks.errors import MOST_NAMED, BadLinesError, InputChangedError, Place, Problem
from oumi_fireworks.request_fields import shown
from oumi_fireworks.tables.ids import named
from oumi_fireworks.tables.problem_file import ProblemFile
from oumi_fireworks.tables.source import InputRow, NamedSource
from oumi_fireworks.tables.unique import Seen

T = TypeVar("T")

_LEFT_OUT = "it was left out when the batch was submitted"


@dataclass
class Candidates:
    """The lines of an input that may be rows of a batch, in its order.

    Attributes:
        digests: The digest of the prompt of each.
        refused: 1 for each that would not be sent today.
    """

    digests: array[int] = field(default_factory=lambda: array("Q"))
    refused: bytearray = field(default_factory=bytearray)


class ConversationReader:
    """The conversations of an input, read as a stream as often as it takes.

    :meth:`prepared` reads and checks everything that is to be sent. For what was sent before,
    :meth:`candidates` reads it, and :meth:`take` says which lines were sent. After either,
    :meth:`conversations` gives the same rows again, with the lines that were left out in between,
    and notices when the input has changed since. Memory does not grow with the conversations,
    apart from some bytes for each (what became of the line, the fingerprint of its id).

    Args:
        source: The input.
        skip_bad: Whether to go on without rows that cannot be sent.
    """

    def __init__(self, source: NamedSource, *, skip_bad: bool = False) -> None:
        self._source = source
        self._skip_bad = skip_bad
        self._content = b""
        self._bad = ProblemFile()
        self._lines = bytearray()  # a _Line for each
        self._sent = bytearray()  # 1 for each line that is a row
        self.rows = 0
        """Conversations that can be sent, or were sent."""
        self.cautions = Cautions()
        """What the user should know of conversations that can be sent."""
        self.current: InputRow | None = None
        """The row that was read last; None before the first."""

    @property
    def place_now(self) -> Place:
        """Where the row is that was read last."""
        assert self.current is not None
        return self.current.place

    @property
    def bad_lines(self) -> int:
        """Lines that cannot be sent, or were not."""
        return len(self._sent) - self.rows

    def problems(self) -> Iterator[Problem]:
        """Yield the problem of each line that cannot be sent."""
        return (problem for _, problem in self._bad)

    def prepared(self, prepare: Callable[[Prompt, int, Mapping[str, Any]], T]) -> Iterator[T]:
        """Yield what is to be sent of each conversation.

        Args:
            prepare: Makes it, of what is asked, its index, and the request fields that are its
                row's own. Raises a ValueError where that cannot be sent.

        Raises:
            BadLinesError: At the end, or at the twentieth bad line, unless they are skipped.
            InputChangedError: At the end, if the input is not what it was the time before.
            InputError: If the input cannot be read.
        """
        before = self._content
        self.cautions = Cautions()
        index = 0
        for prompt in self._prompts():
            if prompt is not None:
                try:
                    assert self.current is not None
                    row = prepare(prompt, index, self.current.parameters())
                except ValueError as error:
                    self._refuse(str(error), prompt.conversation_id)
                else:
                    if (said := prompt.caution()) is not None:
                        self.cautions.add(said, str(self.place_now))
                    yield row
                    index += 1
            if not self._skip_bad and len(self._bad) >= MOST_NAMED:
                break
        if self._bad and not self._skip_bad:
            raise BadLinesError([problem for _, problem in self._bad])
        if before and self._content != before:
            raise self.changed()
        self.rows = index
        self._sent = bytearray(line == _Line.GOOD for line in self._lines)

    def candidates(self) -> Candidates:
        """Read an input that was submitted before, whatever has become of the pictures.

        Raises:
            InputError: If the input cannot be read.
        """
        found = Candidates()
        for prompt in self._prompts(keep_repeated=True):
            if prompt is None:
                continue
            if self._lines[-1] == _Line.GOOD:
                try:
                    prompt.check(with_images=False)
                except ValueError as error:
                    self._refuse(str(error), prompt.conversation_id)
            found.digests.append(prompt.digest())
            found.refused.append(self._lines[-1] != _Line.GOOD)
        return found

    def take(self, sent: Sequence[int]) -> None:
        """Say which of the candidates were sent: 1 for each that was."""
        chosen = iter(sent)
        self._sent = bytearray(
            line != _Line.UNREADABLE and bool(next(chosen)) for line in self._lines
        )
        self.rows = self._sent.count(1)

    def place(self, row: int) -> Place:
        """Return where a row is."""
        rows = zip(self._source.rows(), self._sent, strict=False)
        sent = (each.place for each, is_sent in rows if is_sent)
        return next(islice(sent, row, None))

    def conversations(self) -> Iterator[Conversation | Problem]:
        """Yield the rows again, each with an id, and the lines that were left out between them.

        Raises:
            InputChangedError: At the end, or where it is seen, if the input is not what it was.
        """
        for item in self.sent_rows():
            yield item.problem if isinstance(item, LeftOutRow) else item.conversation()

    def sent_rows(self) -> Iterator[SentRow | LeftOutRow]:
        """Yield the same as rows: what is needed of one is worked out when asked for.

        Raises:
            InputChangedError: At the end, or where it is seen, if the input is not what it was.
        """
        content, changed = xxhash.xxh3_128(), self.changed
        bad = iter(self._bad)
        bad_ordinal, problem = next(bad, _NO_PROBLEM)
        index = ordinal = 0
        for ordinal, row in enumerate(self._source.rows(), 1):
            if ordinal > len(self._sent):
                raise self.changed()
            self.current = row
            content.update(row.content())
            content.update(b"\n")
            while bad_ordinal < ordinal and problem is not None:
                bad_ordinal, problem = next(bad, _NO_PROBLEM)
            if not self._sent[ordinal - 1]:
                known = problem if bad_ordinal == ordinal else None
                yield LeftOutRow(row, known or Problem(row.place, _LEFT_OUT))
                continue
            yield SentRow(row, index, changed)
            index += 1
        if content.digest() != self._content:
            raise self.changed()

    def _prompts(self, *, keep_repeated: bool = False) -> Iterator[Prompt | None]:
        """Yield what each line asks, and None for a line that has no conversation."""
        content, seen, good = xxhash.xxh3_128(), Seen(), _Line.GOOD
        self._bad, self._lines = ProblemFile(), bytearray()
        for row in self._source.rows():
            self.current = row
            content.update(row.content())
            content.update(b"\n")
            self._lines.append(good)
            try:
                prompt = row.prompt()
            except ValueError as error:
                self._refuse(str(error), None, _Line.UNREADABLE)
                yield None
                continue
            name = prompt.conversation_id
            if name is not None and seen.add(name):
                self._refuse(f"the conversation_id {shown(name)} occurs before", name)
                yield prompt if keep_repeated else None
                continue
            yield prompt
        self._content = content.digest()

    def _refuse(self, message: str, conversation_id: str | None, line: _Line | None = None) -> None:
        """Note why the line that was read last cannot be sent."""
        self._lines[-1] = _Line.REFUSED if line is None else line
        self._bad.add(len(self._lines), Problem(self.place_now, message, conversation_id))

    def changed(self) -> InputChangedError:
        """Make the error for an input that is not what it was."""
        return InputChangedError(
            f"The input ({self._source.name}) has changed while the batch ran, so it is not "
            "known which answer belongs to which row. Nothing was written. Put it back as it was "
            "and run the same command again."
        )


class SentRow:
    """A row of an input that is a row of a batch.

    Args:
        row: The row.
        index: Its position among the rows of the batch, zero-based.
        changed: Makes the error for a row that can no longer be read.
    """

    __slots__ = ("_changed", "index", "row")

    def __init__(self, row: InputRow, index: int, changed: Callable[[], InputChangedError]) -> None:
        self.row = row
        self.index = index
        self._changed = changed

    def conversation(self) -> Conversation:
        """Return its conversation, with an id.

        Raises:
            InputChangedError: If it has none.
        """
        try:
            return named(self.row.conversation(), self.index)
        except ValueError as error:
            raise self._changed() from error

    def answered(self, completion: Mapping[str, Any]) -> dict[str, Any]:
        """Return the conversation with its answer as Oumi writes it, and the fields it drops.

        Args:
            completion: The answer, which can be read
                (:func:`~oumi_fireworks.conversion.why_unreadable`).

        Raises:
            InputChangedError: If the row has no conversation.
        """
        try:
            return self.row.answered(completion, self.index)
        except ValueError as error:
            raise self._changed() from error


@dataclass(frozen=True, slots=True)
class LeftOutRow:
    """A row of an input that is no row of the batch.

    Attributes:
        row: The row.
        problem: Why it was left out.
    """

    row: InputRow
    problem: Problem


class _Line(IntEnum):
    """What a line of the input is."""

    UNREADABLE = 0
    """No conversation."""
    REFUSED = 1
    """A conversation that cannot be sent."""
    GOOD = 2


_NO_PROBLEM: tuple[int, Problem | None] = (0, None)
