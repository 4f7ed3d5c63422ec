"""What an input is to the rest: rows in an order, given again as often as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from oumi.core.types.conversation import Conversation

from oumi_fireworks.conversion import Prompt
from oumi_fireworks.errors import Place


class InputRow(Protocol):
    """One row of an input, whatever it is stored in. What is asked of it is worked out then."""

    @property
    def place(self) -> Place:
        """Where it is, for people."""

    def content(self) -> bytes:
        """Return what its conversation is made of: other bytes, and the input has changed."""

    def conversation(self) -> Conversation:
        """Return its conversation.

        Raises:
            ValueError: If it has none; the message says why in few words.
        """

    def prompt(self) -> Prompt:
        """Return what its conversation asks.

        Raises:
            ValueError: As for :meth:`conversation`.
        """

    def parameters(self) -> Mapping[str, Any]:
        """Return request fields of its own, which win over those that all rows share."""

    def unsent(self) -> set[str]:
        """Return the names of its fields that no request carries. It must have a conversation."""

    def fields(self) -> dict[str, Any]:
        """Return its columns: of JSON as they are, of a table as Python values.

        Raises:
            ValueError: If it has none.
        """

    def as_line(self, name: str) -> dict[str, Any]:
        """Return it as a line that asks the same: a conversation, or a request for OpenAI.

        Args:
            name: The id of its conversation. It must have one.
        """

    def answered(self, completion: Mapping[str, Any], index: int) -> dict[str, Any]:
        """Return its conversation with an answer, as Oumi writes it, and all its other fields.

        Args:
            completion: The answer, which can be read
                (:func:`~oumi_fireworks.conversion.why_unreadable`).
            index: Its position among the rows of the batch, zero-based: the id of a conversation
                without one comes from it.

        Raises:
            ValueError: If it has no conversation.
        """


class Source(Protocol):
    """The rows of an input."""

    def rows(self) -> Iterator[InputRow]:
        """Yield the rows, from the first one on, each time it is called.

        Raises:
            InputError: If the input cannot be read.
        """


class SourceWithColumns(Source, Protocol):
    """The rows of an input, and what they are made of."""

    def columns(self) -> set[str]:
        """Return the names of all columns.

        Raises:
            InputError: If the input cannot be read.
        """


class NamedSource(Source, Protocol):
    """A whole input."""

    @property
    def name(self) -> str:
        """What to call it, for people."""


def objects_of(source: Source) -> Iterator[dict[str, Any]]:
    """Yield the columns of each row that can be read.

    Raises:
        InputError: If the input cannot be read.
    """
    for row in source.rows():
        try:
            yield row.fields()
        except ValueError:
            continue
