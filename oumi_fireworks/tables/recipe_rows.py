"""A row of columns that a recipe makes a conversation of, wherever its cells are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from oumi.core.types.conversation import Conversation

from oumi_fireworks.conversion import (
    PlainPrompt,
    Prompt,
    plainly_answered,
    prompt_of,
    to_conversation,
)
from oumi_fireworks.tables.cells import are_unicode, json_of
from oumi_fireworks.tables.ids import conversation_id_for, named
from oumi_fireworks.tables.recipe import Recipe
from oumi_fireworks.tables.unknown_fields import CONVERSATION_FIELDS


class RecipeRow(ABC):
    """One row of columns."""

    __slots__ = ()

    @property
    @abstractmethod
    def recipe(self) -> Recipe:
        """What becomes of its columns."""

    @abstractmethod
    def text(self, column: str) -> str | None:
        """Return a cell as text; None for null."""

    @abstractmethod
    def value(self, column: str) -> object:
        """Return a cell as a Python value; None for null."""

    @abstractmethod
    def fields(self) -> dict[str, Any]:
        """Return its columns."""

    def conversation(self) -> Conversation:
        """Make its conversation."""
        return self.recipe.conversation(self)

    def prompt(self) -> Prompt:
        """Return what its conversation asks."""
        recipe = self.recipe
        if recipe.is_plain:
            messages = recipe.plain_messages(self)
            name = recipe.id_of(self)
            texts = [each["content"] for each in messages]
            # Oumi's model says what is wrong with others.
            if are_unicode(texts if name is None else [*texts, name]):
                return PlainPrompt(name, messages)
        return prompt_of(self.conversation())

    def parameters(self) -> Mapping[str, Any]:
        """Return none: all rows share theirs."""
        return {}

    def as_line(self, name: str) -> dict[str, Any]:
        """Return its conversation, with this id, and its columns as further fields."""
        line: dict[str, Any] = self.conversation().to_dict()
        return line | self._others() | {"conversation_id": name}

    def answered(self, completion: Mapping[str, Any], index: int) -> dict[str, Any]:
        """Return its conversation with the answer, and its columns as further fields."""
        recipe = self.recipe
        if recipe.is_plain:
            messages = recipe.plain_messages(self)
            name = recipe.id_of(self)
            if name is None:
                name = conversation_id_for(index, (each["content"] for each in messages))
            plain = plainly_answered({"messages": messages}, completion, name)
            if plain is not None:
                return plain | self._others()
        answered: dict[str, Any] = to_conversation(
            completion, named(self.conversation(), index)
        ).to_dict()
        return answered | self._others()

    def _others(self) -> dict[str, Any]:
        """Return the columns as JSON, without those that the conversation holds as they are."""
        whole = self.recipe.whole_columns
        return {
            f"input_{name}" if name in CONVERSATION_FIELDS else name: json_of(value)
            for name, value in self.fields().items()
            if name not in whole
        }
