"""The rows of a table: parts of record batches, each a conversation by the recipe."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.types as types

from oumi_fireworks.errors import Place
from oumi_fireworks.tables.cells import text_of
from oumi_fireworks.tables.python_values import python_values
from oumi_fireworks.tables.recipe import Recipe
from oumi_fireworks.tables.recipe_rows import RecipeRow


class Block:
    """Some rows that follow one another.

    Args:
        batch: Their cells.
        recipe: What becomes of them.
        file: What their file is called.
        first: The number of the first one in its file, from 1.
    """

    def __init__(self, batch: pa.RecordBatch, recipe: Recipe, file: str, first: int) -> None:
        self.batch = batch
        self.recipe = recipe
        self.file = file
        self.first = first
        self._values: dict[str, list[object]] = {}
        self._texts: dict[str, list[str | None]] = {}

    def values(self, column: str) -> list[object]:
        """Return the cells of a column as Python values."""
        found = self._values.get(column)
        if found is None:
            array = self.batch.column(column)
            found = self._values[column] = python_values(array)
        return found

    def text(self, column: str, position: int) -> str | None:
        """Return a cell as text."""
        texts = self._texts.get(column)
        if texts is None:
            array = self.batch.column(column)
            if types.is_float32(array.type) or types.is_float16(array.type):
                # As Python's numbers, which are wider, they would have digits that nobody wrote.
                texts = [_with_point(each) for each in array.cast(pa.string()).to_pylist()]
                self._texts[column] = texts
            else:
                return text_of(self.values(column)[position])
        return texts[position]


class TableRow(RecipeRow):
    """One row.

    Args:
        block: The rows that it is among.
        position: Its position there.
    """

    __slots__ = ("block", "position")

    def __init__(self, block: Block, position: int) -> None:
        self.block = block
        self.position = position

    @property
    def place(self) -> Place:
        """Its file and its number there."""
        return Place(self.block.file, self.block.first + self.position, "row")

    @property
    def recipe(self) -> Recipe:
        """What becomes of its columns."""
        return self.block.recipe

    def text(self, column: str) -> str | None:
        """Return a cell as text."""
        return self.block.text(column, self.position)

    def value(self, column: str) -> object:
        """Return a cell as a Python value."""
        return self.block.values(column)[self.position]

    def content(self) -> bytes:
        """Return the cells that its conversation is made of."""
        return self.recipe.content(self)

    def unsent(self) -> set[str]:
        """Return the columns that its conversation is not made of."""
        return set(self.block.batch.schema.names) - set(self.recipe.columns)

    def fields(self) -> dict[str, Any]:
        """Return its cells."""
        return {name: self.value(name) for name in self.block.batch.schema.names}


def _with_point(text: str | None) -> str | None:
    """Write a whole number as other numbers with a point are written."""
    return f"{text}.0" if text is not None and text.lstrip("-").isdigit() else text
