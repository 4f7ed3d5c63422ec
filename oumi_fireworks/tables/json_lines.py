"""JSON Lines as an input: each line is a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import starmap
from typing import Any

from oumi.core.types.conversation import Conversation
from pydantic import ValidationError

from oumi_fireworks.conversion import (
    Prompt,
    plain_conversation,
    plain_prompt,
    plainly_answered,
    prompt_of,
    to_conversation,
)
from oumi_fireworks.request_fields import shown
from oumi_fireworks.tables.files import first_names
from oumi_fireworks.tables.ids import conversation_id_for, named
from oumi_fireworks.tables.line_rows import LineFiles, LineRow
from oumi_fireworks.tables.lines import numbered_lines
from oumi_fireworks.tables.openai_parts import with_oumi_parts
from oumi_fireworks.tables.unknown_fields import unknown_fields, with_unknown_fields


class JsonLines(LineFiles):
    """Files of conversations, one a line.

    Args:
        files: The files.
    """

    @property
    def name(self) -> str:
        """The names of the first files."""
        return first_names(self._files)

    def rows(self) -> Iterator[JsonLine]:
        """Yield the lines that are not blank."""
        return starmap(JsonLine, numbered_lines(self._files))


class JsonLine(LineRow):
    """One line."""

    __slots__ = ()

    def conversation(self) -> Conversation:
        """Read it as Oumi does."""
        return parse(self._line)

    def prompt(self) -> Prompt:
        """Read what it asks."""
        return prompt_in(self._line)

    def parameters(self) -> Mapping[str, Any]:
        """Return none: all rows share theirs."""
        return {}

    def unsent(self) -> set[str]:
        """Return the names of the fields that Oumi does not know."""
        return unknown_fields(self.fields())

    def as_line(self, name: str) -> dict[str, Any]:
        """Return the line's object, with this id."""
        return self.fields() | {"conversation_id": name}

    def answered(self, completion: Mapping[str, Any], index: int) -> dict[str, Any]:
        """Return the conversation with its answer, and the fields that Oumi drops."""
        asked = plain_conversation(self._line)
        if asked is not None:
            name = asked.get("conversation_id")
            if name is None:
                name = conversation_id_for(index, [each["content"] for each in asked["messages"]])
            plain = plainly_answered(asked, completion, name)
            if plain is not None:
                return plain
        answered = to_conversation(completion, named(self.conversation(), index)).to_dict()
        return with_unknown_fields(answered, self.fields())


def prompt_in(line: bytes) -> Prompt:
    """Read what a line asks, by Oumi's model only where it is not texts alone.

    Raises:
        ValueError: As for :func:`parse`.
    """
    asked = plain_conversation(line)
    plain = None if asked is None else plain_prompt(asked)
    return prompt_of(parse(line)) if plain is None else plain


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
        return f"message {path[1]}: unknown role {shown(first['input'])} ({allowed})"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
