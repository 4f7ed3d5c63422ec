"""Oumi conversations from lines: those that can be sent, and the others by name."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice
from typing import IO, Any, TypeVar

from oumi.core.types.conversation import Conversation
from pydantic import ValidationError

from oumi_fireworks.conversion import (
    Cautions,
    caution,
    plain_texts,
    plainly_answered,
    to_conversation,
)
from oumi_fireworks.errors import MOST_NAMED, BadLinesError, InputChangedError, Place, Problem
from oumi_fireworks.tables.files import InputFile
from oumi_fireworks.tables.lines import read_lines
from oumi_fireworks.tables.openai_parts import with_oumi_parts
from oumi_fireworks.tables.unique import Seen
from oumi_fireworks.tables.unknown_fields import with_unknown_fields
from oumi_fireworks.user_json import dumps, loads

T = TypeVar("T")

_PROBLEMS_IN_MEMORY = 1 << 20
"""Bytes of problems from which on they are kept in a file."""

_LONGEST_SHOWN = 80

# RFC 9562, 5.5: SHA-1 of the name space and the name, 4 of its bits replaced by the version (5)
# and 2 by the variant.
_NAMESPACE = hashlib.sha1(uuid.NAMESPACE_DNS.bytes, usedforsecurity=False)

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
        files: The input.
        skip_bad: Whether to go on without lines that cannot be sent.
    """

    def __init__(self, files: Iterable[InputFile], *, skip_bad: bool = False) -> None:
        self._files = list(files)
        self._skip_bad = skip_bad
        self._content = b""
        self._bad = _ProblemFile()
        self._lines = bytearray()  # a _Line for each
        self._sent = bytearray()  # 1 for each line that is a row
        self.rows = 0
        """Conversations that can be sent, or were sent."""
        self.cautions = Cautions()
        """What the user should know of conversations that can be sent."""
        self.current: tuple[Place, bytes] = Place("", 0), b""
        """The line that was read last, and where it is."""

    @property
    def bad_lines(self) -> int:
        """Lines that cannot be sent, or were not."""
        return len(self._sent) - self.rows

    def problems(self) -> Iterator[Problem]:
        """Yield the problem of each line that cannot be sent."""
        return (problem for _, problem in self._bad)

    def prepared(self, prepare: Callable[[Conversation, int], T]) -> Iterator[T]:
        """Yield what is to be sent of each conversation.

        Args:
            prepare: Makes it, of a conversation and its index. Raises a ValueError where that
                cannot be sent.

        Raises:
            BadLinesError: At the end, or at the twentieth bad line, unless they are skipped.
            InputChangedError: At the end, if the input is not what it was the time before.
            InputError: If the input cannot be read.
        """
        before = self._content
        self.cautions = Cautions()
        index = 0
        for conversation in self._conversations():
            if conversation is not None:
                try:
                    row = prepare(conversation, index)
                except ValueError as error:
                    self._refuse(str(error), conversation.conversation_id)
                else:
                    if (said := caution(conversation)) is not None:
                        self.cautions.add(said, str(self.current[0]))
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

    def candidates(
        self, digest: Callable[[Conversation], int], check: Callable[[Conversation], None]
    ) -> Candidates:
        """Read an input that was submitted before.

        Args:
            digest: Returns the digest of a conversation's prompt.
            check: Raises a ValueError for a conversation that would not be sent today.

        Raises:
            InputError: If the input cannot be read.
        """
        found = Candidates()
        for conversation in self._conversations(keep_repeated=True):
            if conversation is None:
                continue
            if self._lines[-1] == _Line.GOOD:
                try:
                    check(conversation)
                except ValueError as error:
                    self._refuse(str(error), conversation.conversation_id)
            found.digests.append(digest(conversation))
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
        lines = zip(read_lines(self._files), self._sent, strict=False)
        rows = (place for (place, _), is_sent in lines if is_sent)
        return next(islice(rows, row, None))

    def conversations(self) -> Iterator[Conversation | Problem]:
        """Yield the rows again, each with an id, and the lines that were left out between them.

        Raises:
            InputChangedError: At the end, or where it is seen, if the input is not what it was.
        """
        for item in self.sent_lines():
            yield item if isinstance(item, Problem) else item.conversation()

    def sent_lines(self) -> Iterator[SentLine | Problem]:
        """Yield the same, each row as its line: what is needed of it is worked out when asked for.

        Raises:
            InputChangedError: At the end, or where it is seen, if the input is not what it was.
        """
        content = hashlib.sha256()
        bad = iter(self._bad)
        bad_ordinal, problem = next(bad, _NO_PROBLEM)
        index = ordinal = 0
        for ordinal, (place, line) in enumerate(read_lines(self._files), 1):
            if ordinal > len(self._sent):
                raise self.changed()
            self.current = place, line
            content.update(line)
            content.update(b"\n")
            while bad_ordinal < ordinal and problem is not None:
                bad_ordinal, problem = next(bad, _NO_PROBLEM)
            if not self._sent[ordinal - 1]:
                known = problem if bad_ordinal == ordinal else None
                yield known or Problem(place, _LEFT_OUT)
                continue
            yield SentLine(line, index, self.changed)
            index += 1
        if content.digest() != self._content:
            raise self.changed()

    def _conversations(self, *, keep_repeated: bool = False) -> Iterator[Conversation | None]:
        """Yield the conversation of each line, and None for a line that has none."""
        content, seen = hashlib.sha256(), Seen()
        self._bad, self._lines = _ProblemFile(), bytearray()
        for place, line in read_lines(self._files):
            self.current = place, line
            content.update(line)
            content.update(b"\n")
            self._lines.append(_Line.GOOD)
            try:
                conversation = parse(line)
            except ValueError as error:
                self._refuse(str(error), None, _Line.UNREADABLE)
                yield None
                continue
            name = conversation.conversation_id
            if name is not None and seen.add(name):
                self._refuse(f"the conversation_id {_shown(name)} occurs before", name)
                yield conversation if keep_repeated else None
                continue
            yield conversation
        self._content = content.digest()

    def _refuse(self, message: str, conversation_id: str | None, line: _Line | None = None) -> None:
        """Note why the line that was read last cannot be sent."""
        self._lines[-1] = _Line.REFUSED if line is None else line
        self._bad.add(len(self._lines), Problem(self.current[0], message, conversation_id))

    def changed(self) -> InputChangedError:
        """Make the error for an input that is not what it was."""
        names = ", ".join(file.name for file in self._files[:3])
        return InputChangedError(
            f"The input ({names}{', ...' if len(self._files) > 3 else ''}) has changed while the "
            "batch ran, so there is no telling which answer belongs to which line. Nothing was "
            "written. Put it back as it was and run the same command again."
        )


class SentLine:
    """A line of an input that is a row of a batch.

    Args:
        line: The line.
        row: Its position among the rows, zero-based.
        changed: Makes the error for a line that can no longer be read.
    """

    __slots__ = ("_changed", "_line", "_row")

    def __init__(self, line: bytes, row: int, changed: Callable[[], InputChangedError]) -> None:
        self._line = line
        self._row = row
        self._changed = changed

    def conversation(self) -> Conversation:
        """Return its conversation, with an id.

        Raises:
            InputChangedError: If it is none.
        """
        try:
            conversation = parse(self._line)
        except ValueError as error:
            raise self._changed() from error
        if conversation.conversation_id is None:
            texts = (m.content for m in conversation.messages if isinstance(m.content, str))
            conversation.conversation_id = conversation_id_for(self._row, texts)
        return conversation

    def answered(self, completion: Mapping[str, Any]) -> dict[str, Any]:
        """Return the conversation with its answer as Oumi writes it, and the fields it drops.

        Args:
            completion: The answer, which can be read
                (:func:`~oumi_fireworks.conversion.why_unreadable`).

        Raises:
            InputChangedError: If the line is no conversation.
        """
        try:
            asked = loads(self._line)
        except ValueError as error:
            raise self._changed() from error
        texts = plain_texts(asked)
        if texts is not None:
            name = asked.get("conversation_id")
            if name is None:
                name = conversation_id_for(self._row, texts)
            plain = plainly_answered(asked, completion, name)
            if plain is not None:
                return plain
        answered: dict[str, Any] = to_conversation(completion, self.conversation()).to_dict()
        return with_unknown_fields(answered, asked)


class _Line(IntEnum):
    """What a line of the input is."""

    UNREADABLE = 0
    """No conversation."""
    REFUSED = 1
    """A conversation that cannot be sent."""
    GOOD = 2


_NO_PROBLEM: tuple[int, Problem | None] = (0, None)


def parse(line: bytes) -> Conversation:
    """Read a line as Oumi does, and content parts as OpenAI writes them, too.

    Raises:
        ValueError: If it is not a conversation; the message says why in few words.
    """
    try:
        return Conversation.from_json(line)  # type: ignore[arg-type]  # bytes will do, and are faster
    except ValidationError as error:
        translated = with_oumi_parts(line)
        if translated is None:
            raise ValueError(_reason(error)) from None
    try:
        return Conversation.from_dict(translated)
    except ValidationError as error:
        raise ValueError(_reason(error)) from None


def conversation_id_for(index: int, texts: Iterable[str]) -> str:
    """Return the id that Oumi's ``infer`` gives to a conversation without one.

    It is ``str(uuid.uuid5(uuid.NAMESPACE_DNS, ...))``, in a third of the time: each row needs one.

    Args:
        index: Its position in the input, zero-based.
        texts: Its messages that are a text.
    """
    content = hashlib.sha256(",".join(texts).encode()).hexdigest()
    digest = _NAMESPACE.copy()
    digest.update(f"{index}_{content}".encode())
    digits = digest.hexdigest()
    variant = "89ab"[int(digits[16], 16) & 0b11]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _reason(error: ValidationError) -> str:
    """Say what is wrong with a line, in the words of a person who looks at it."""
    first, *others = error.errors(include_url=False)
    if others and first["loc"][-1:] == ("str",):
        first = others[0]  # content may be a text or a list, and this speaks of the list
    kind, path = first["type"], tuple(part for part in first["loc"] if part != "list[ContentItem]")
    if kind == "json_invalid":
        said = str(first["ctx"]["error"]).replace(" at line 1 column ", " at column ")
        return f"not JSON ({said})"
    if kind == "model_type":
        return "not a JSON object"
    if kind == "missing" and path == ("messages",):
        return "no messages"
    where = ".".join(map(str, path))
    if len(path) >= 2 and path[0] == "messages":
        where = ", ".join(
            [f"message {path[1]}", *([".".join(map(str, path[2:]))] if path[2:] else [])]
        )
    if kind == "enum" and path[-1:] == ("role",):
        allowed = str(first["ctx"]["expected"]).replace(" or ", ", ").replace("'", "")
        return f"message {path[1]}: unknown role {_shown(first['input'])} ({allowed})"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


class _ProblemFile:
    """Problems with the ordinals of their lines: in memory, or on disk when they are many."""

    def __init__(self) -> None:
        self._count = 0
        # Lives as long as its owner, and is nameless: nothing is left behind.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_PROBLEMS_IN_MEMORY)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._count

    def add(self, ordinal: int, problem: Problem) -> None:
        place, message, conversation_id = problem
        self._file.seek(0, 2)
        self._file.write(dumps((ordinal, *place, message, conversation_id)) + b"\n")
        self._count += 1

    def __iter__(self) -> Iterator[tuple[int, Problem]]:
        self._file.seek(0)
        for line in self._file:
            ordinal, file, number, message, conversation_id = loads(line)
            yield ordinal, Problem(Place(file, number), message, conversation_id)
