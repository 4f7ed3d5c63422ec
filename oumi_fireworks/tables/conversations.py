"""Oumi conversations from lines: those that can be sent, and the others by name."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

import orjson
from oumi.core.types.conversation import Conversation
from pydantic import ValidationError

from oumi_fireworks.errors import MOST_NAMED, BadLinesError, InputChangedError, Place, Problem
from oumi_fireworks.tables.files import InputFile
from oumi_fireworks.tables.lines import read_lines
from oumi_fireworks.tables.unique import Seen

#: Makes what is to be sent of a conversation; its index is for the message of the ValueError
#: that it raises where that cannot be sent.
Prepare = Callable[[Conversation, int], Mapping[str, Any]]

_PROBLEMS_IN_MEMORY = 1 << 20
_LONGEST_SHOWN = 80


class ConversationReader:
    """The conversations of an input, read as a stream as often as it takes.

    :meth:`prepared` checks everything; :meth:`conversations` then gives the same rows again, with
    the bad lines in between, and notices when the input has changed since. Memory does not grow
    with the conversations, apart from the fingerprints of their ids.

    Args:
        files: The input.
        prepare: Makes a row of a conversation, and refuses what cannot be sent.
        skip_bad: Whether to go on without lines that cannot be sent.
    """

    def __init__(
        self, files: Iterable[InputFile], prepare: Prepare, *, skip_bad: bool = False
    ) -> None:
        self._files = list(files)
        self._prepare = prepare
        self._skip_bad = skip_bad
        self._digest = b""
        self._bad = _ProblemFile()
        self.rows = 0
        """Conversations that can be sent, after :meth:`prepared` has come to its end."""
        self.current: tuple[Place, bytes] = Place("", 0), b""
        """The line that was read last, and where it is."""

    @property
    def bad_lines(self) -> int:
        """Lines that cannot be sent, after :meth:`prepared` has come to its end."""
        return len(self._bad)

    def problems(self) -> Iterator[Problem]:
        """Yield the problem of each bad line, after :meth:`prepared` has come to its end."""
        return (problem for _, problem in self._bad)

    def prepared(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield each conversation's index and what is to be sent of it.

        Raises:
            BadLinesError: At the end, or at the twentieth bad line, unless they are skipped.
            InputChangedError: At the end, if the input is not what it was the time before.
            InputError: If the input cannot be read.
        """
        digest, seen = hashlib.sha256(), Seen()
        bad = self._bad = _ProblemFile()
        index = 0
        for ordinal, (place, line) in enumerate(read_lines(self._files)):
            self.current = place, line
            conversation_id = None
            try:
                conversation = parse(line)
                conversation_id = conversation.conversation_id
                if conversation_id is not None and seen.add(conversation_id):
                    raise ValueError(f"the conversation_id {_shown(conversation_id)} occurs before")
                row = self._prepare(conversation, index)
            except ValueError as error:
                bad.add(ordinal, Problem(place, str(error), conversation_id))
                if not self._skip_bad and len(bad) >= MOST_NAMED:
                    break
                continue
            digest.update(line)
            digest.update(b"\n")
            yield index, row
            index += 1
        if bad and not self._skip_bad:
            raise BadLinesError([problem for _, problem in bad])
        if self._digest and digest.digest() != self._digest:
            raise self._changed()
        self.rows, self._digest = index, digest.digest()

    def conversations(self) -> Iterator[Conversation | Problem]:
        """Yield the same conversations again, each with an id, and the bad lines where they are.

        Raises:
            InputChangedError: At the end, or where it is seen, if the input is not what
                :meth:`prepared` has read.
        """
        digest = hashlib.sha256()
        bad = iter(self._bad)
        bad_ordinal, problem = next(bad, (-1, None))
        index = 0
        for ordinal, (_, line) in enumerate(read_lines(self._files)):
            if problem is not None and ordinal == bad_ordinal:
                yield problem
                bad_ordinal, problem = next(bad, (-1, None))
                continue
            if index == self.rows:
                raise self._changed()
            try:
                conversation = parse(line)
            except ValueError as error:
                raise self._changed() from error
            digest.update(line)
            digest.update(b"\n")
            if conversation.conversation_id is None:
                conversation.conversation_id = conversation_id_for(index, conversation)
            yield conversation
            index += 1
        if digest.digest() != self._digest:
            raise self._changed()

    def _changed(self) -> InputChangedError:
        names = ", ".join(file.name for file in self._files[:3])
        return InputChangedError(
            f"The input ({names}{', ...' if len(self._files) > 3 else ''}) has changed while the "
            "batch ran, so there is no telling which answer belongs to which line. Nothing was "
            "written. Put it back as it was and run the same command again."
        )


def parse(line: bytes) -> Conversation:
    """Read a line as Oumi does.

    Raises:
        ValueError: If it is not a conversation; the message says why in few words.
    """
    try:
        return Conversation.from_json(line)  # type: ignore[arg-type]  # bytes will do, and are faster
    except ValidationError as error:
        raise ValueError(_reason(error)) from None


def conversation_id_for(index: int, conversation: Conversation) -> str:
    """Return the id that Oumi's ``infer`` gives to a conversation without one.

    Args:
        index: Its position in the input, zero-based.
        conversation: The conversation.
    """
    texts = (m.content for m in conversation.messages if isinstance(m.content, str))
    content = hashlib.sha256(",".join(texts).encode()).hexdigest()
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{index}_{content}"))


def _reason(error: ValidationError) -> str:
    """Say what is wrong with a line, in the words of a person who looks at it."""
    first = error.errors(include_url=False)[0]
    kind, path = first["type"], first["loc"]
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
        self._file.write(orjson.dumps((ordinal, *place, message, conversation_id)) + b"\n")
        self._count += 1

    def __iter__(self) -> Iterator[tuple[int, Problem]]:
        self._file.seek(0)
        for line in self._file:
            ordinal, file, number, message, conversation_id = orjson.loads(line)
            yield ordinal, Problem(Place(file, number), message, conversation_id)
