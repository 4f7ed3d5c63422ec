"""From the columns of a table to a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type

from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.grammar import ended
from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.request_fields import did_you_mean
from oumi_fireworks.tables.cells import Cells, json_of
from oumi_fireworks.tables.json_lines import parse
from oumi_fireworks.tables.template import PromptTemplate
from oumi_fireworks.user_json import dumps, loads

_BESIDE = ("conversation_id", "tools", "metadata")
"""Columns that belong to a conversation where its messages are a column."""

_ALPACA = ("instruction", "input", "output")
_URL_STARTS = ("http://", "https://", "data:")
_NULL = b"\1"


@dataclass(frozen=True)
class Recipe:
    """What of a row becomes what of a conversation.

    Attributes:
        columns: The columns that are needed, each once.
        template: The user message, with fields.
        prompt: The column with the user message.
        messages: The column with all messages.
        is_alpaca: Whether the columns are ``instruction`` and ``input``.
        system: The system message that all rows share.
        system_column: The column with each row's own.
        image: The column with pictures.
        id: The column with the conversation's id.
        beside: Columns that belong to the conversations of the column with messages.
    """

    columns: tuple[str, ...]
    template: PromptTemplate | None = None
    prompt: str | None = None
    messages: str | None = None
    is_alpaca: bool = False
    system: str | None = None
    system_column: str | None = None
    image: str | None = None
    id: str | None = None
    beside: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: InputOptions, columns: Sequence[str]) -> Recipe:
        """Work it out.

        Without an option that says where the prompt is, a table with a column ``messages``,
        ``prompt`` or ``instruction`` (Alpaca's) has it there.

        Args:
            options: What the user says.
            columns: The columns that there are.

        Raises:
            ConfigurationError: If a column does not exist, or there is no telling what to ask.
        """
        there = set(columns)
        template = None
        if options.prompt is not None:
            template = PromptTemplate.parse(_from_file(options.prompt, "prompt"))
        prompt, messages = options.prompt_column, options.messages_column
        is_alpaca = False
        if template is None and prompt is None and messages is None:
            if "messages" in there:
                messages = "messages"
            elif "prompt" in there:
                prompt = "prompt"
            elif there.issuperset(_ALPACA[:2]):
                is_alpaca = True
            else:
                raise ConfigurationError(
                    "Say what to ask: --prompt 'TEXT with {column}', --prompt-column or "
                    f"--messages-column. The columns are: {_listed(columns)}."
                )
        system, system_column = options.system, None
        if system is not None and system in there:
            system, system_column = None, system
        elif system is not None:
            system = _from_file(system, "system")
        fields = template.fields if template is not None else ()
        alpaca = _ALPACA[:2] if is_alpaca else ()
        named = (*fields, *alpaca, prompt, messages, system_column)
        beside = () if messages is None else tuple(each for each in _BESIDE if each in there)
        needed = [*named, options.image_column, options.id_column, *beside]
        used = tuple(dict.fromkeys(each for each in needed if each is not None))
        for column in used:
            if column not in there:
                raise ConfigurationError(
                    f"There is no column {column!r}.{did_you_mean(column, columns)} The columns "
                    f"are: {_listed(columns)}."
                )
        return cls(
            columns=used,
            template=template,
            prompt=prompt,
            messages=messages,
            is_alpaca=is_alpaca,
            system=system,
            system_column=system_column,
            image=options.image_column,
            id=options.id_column,
            beside=beside,
        )

    def content(self, cells: Cells) -> bytes:
        """Return what a conversation is made of: other bytes, and it may be another one."""
        return b"\0".join([_bytes_of(cells, column) for column in self.columns])

    @cached_property
    def whole_columns(self) -> set[str]:
        """The columns that a conversation holds as they are."""
        return {each for each in (self.messages, self.id, *self.beside) if each is not None}

    def conversation(self, cells: Cells) -> Conversation:
        """Make the conversation of a row.

        Raises:
            ValueError: If there is none to be made.
        """
        if self.messages is None and self.image is None:
            messages = [
                Message(role=Role(each["role"]), content=each["content"])
                for each in self.plain_messages(cells)
            ]
            return Conversation(messages=messages, conversation_id=self.id_of(cells))
        if self.messages is None:
            conversation = Conversation(
                messages=[Message(role=Role.USER, content=self._prompt(cells))],
                conversation_id=self.id_of(cells),
            )
        else:
            line = {name: self._part(cells, name) for name in self.beside}
            line["messages"] = self._messages(cells)
            if (own := self.id_of(cells)) is not None:
                line["conversation_id"] = own
            given = {name: value for name, value in line.items() if value is not None}
            conversation = parse(dumps(given))
        self._add_images(conversation, cells)
        self._add_system(conversation, cells)
        return conversation

    def plain_messages(self, cells: Cells) -> list[dict[str, Any]]:
        """Return the messages of a row that has texts alone, as JSON.

        Raises:
            ValueError: If there are none to be made.
        """
        asked = {"role": "user", "content": self._prompt(cells)}
        system = self._system(cells)
        return [asked] if system is None else [{"role": "system", "content": system}, asked]

    @property
    def is_plain(self) -> bool:
        """Whether its conversations have texts alone."""
        return self.messages is None and self.image is None

    def _prompt(self, cells: Cells) -> str:
        text: str | None
        if self.template is not None:
            text, column = self.template.fill(cells.text), self.template.fields[0]
        elif self.is_alpaca:
            # As Oumi's TextSftJsonLinesDataset puts them together.
            instruction, context = cells.text("instruction"), cells.text("input")
            text = f"{instruction or ''}\n\n{context or ''}".strip()
            column = "instruction"
        else:
            assert self.prompt is not None
            text, column = cells.text(self.prompt), self.prompt
        if text is None:
            raise ValueError(f"null in column {column!r}: there is nothing to ask")
        if not text or text.isspace():
            raise ValueError(f"no text in column {column!r}: there is nothing to ask")
        return text

    def _part(self, cells: Cells, column: str) -> object:
        """Return what a column holds beside the messages, as JSON."""
        if column == "conversation_id":
            return cells.text(column)
        value = cells.value(column)
        if isinstance(value, str):
            try:
                value = loads(value.encode())
            except ValueError as error:
                raise ValueError(f"column {column!r} is no JSON ({error})") from error
        return json_of(_without_nulls(value))

    def _messages(self, cells: Cells) -> object:
        assert self.messages is not None
        value = cells.value(self.messages)
        if isinstance(value, str | bytes):
            try:
                value = loads(value.encode() if isinstance(value, str) else value)
            except ValueError as error:
                raise ValueError(f"column {self.messages!r} is no JSON ({error})") from error
        if isinstance(value, dict) and "messages" in value:
            value = value["messages"]
        if not isinstance(value, list):
            found = "null" if value is None else type(value).__name__
            raise ValueError(f"column {self.messages!r} holds no list of messages, but {found}")
        return [json_of(_without_nulls(each)) for each in value]

    def _system(self, cells: Cells) -> str | None:
        return self.system if self.system_column is None else cells.text(self.system_column)

    def id_of(self, cells: Cells) -> str | None:
        """Return the id of a row's conversation; None without one."""
        return None if self.id is None else cells.text(self.id)

    def _add_system(self, conversation: Conversation, cells: Cells) -> None:
        """Put the system message first, unless the row has its own."""
        system = self._system(cells)
        if system is None or (
            conversation.messages and conversation.messages[0].role is Role.SYSTEM
        ):
            return
        conversation.messages.insert(0, Message(role=Role.SYSTEM, content=system))

    def _add_images(self, conversation: Conversation, cells: Cells) -> None:
        """Put the pictures of a row before the text of its last user message."""
        if self.image is None:
            return
        value = cells.value(self.image)
        items = [_image(each) for each in (value if isinstance(value, list) else [value])]
        images = [each for each in items if each is not None]
        messages = conversation.messages
        asked = [at for at, each in enumerate(messages) if each.role is Role.USER]
        if not images or not asked:
            return
        last = messages[asked[-1]]
        content = last.content
        texts = (
            content
            if isinstance(content, list)
            else [ContentItem(type=Type.TEXT, content=content or "")]
        )
        messages[asked[-1]] = last.model_copy(update={"content": [*images, *texts]})


def _image(value: object) -> ContentItem | None:
    """Read a picture: an address, a path, bytes, or both as ``datasets`` keeps them."""
    if isinstance(value, dict):  # the feature Image
        value = value.get("bytes") or value.get("path")
    if value is None:
        return None
    if isinstance(value, bytes):
        return ContentItem(type=Type.IMAGE_BINARY, binary=value)
    if not isinstance(value, str):
        raise ValueError(f"a picture is a path, an address or bytes, not {type(value).__name__}")
    kind = Type.IMAGE_URL if value.startswith(_URL_STARTS) else Type.IMAGE_PATH
    return ContentItem(type=kind, content=value)


def _without_nulls(value: object) -> object:
    """Drop fields that are null: in a table every struct has every field."""
    if isinstance(value, dict):
        return {
            name: _without_nulls(each)
            for name, each in value.items()
            if each is not None or name == "content"
        }
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _bytes_of(cells: Cells, column: str) -> bytes:
    value = cells.value(column)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if value is None:
        return _NULL
    return value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")


def _from_file(text: str, option: str) -> str:
    """Return a text, or what is in the file that it names with ``@``."""
    if not text.startswith("@"):
        return text
    path = Path(text[1:]).expanduser()
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"The {option} in {path} cannot be read: {ended(reason)}"
        ) from error


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns[:50]) + (", ..." if len(columns) > 50 else "")
