"""JSON Lines of rows: each line is an object whose fields are columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from oumi_fireworks.errors import InputError, Place
from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.tables.cells import text_of
from oumi_fireworks.tables.files import ReadableFile
from oumi_fireworks.tables.line_rows import LineFiles, LineRow, object_in
from oumi_fireworks.tables.lines import numbered_lines
from oumi_fireworks.tables.recipe import Recipe
from oumi_fireworks.tables.recipe_rows import RecipeRow

_LINES_LOOKED_AT = 100
"""Lines whose fields say which columns there are."""


class JsonRows(LineFiles):
    """Files of rows, one JSON object a line. A field that a line lacks is null there.

    Args:
        files: The files.
        options: What the fields are for.

    Raises:
        InputError: If a file cannot be read.
        ConfigurationError: If a field that is named is in none of the first lines.
    """

    def __init__(self, files: Sequence[ReadableFile], options: InputOptions) -> None:
        super().__init__(files)
        columns: dict[str, None] = {}
        for _, _, line in islice(numbered_lines(files), _LINES_LOOKED_AT):
            columns |= dict.fromkeys(fields_of(line) or ())
        self.recipe = Recipe.of(options, list(columns)) if columns else None

    def rows(self) -> Iterator[JsonRow]:
        """Yield the lines that are not blank."""
        for file, number, line in numbered_lines(self._files):
            if self.recipe is None:
                raise InputError(
                    f"{Place(file, number)}: the input has no line that is a JSON object."
                )
            yield JsonRow(file, number, line, self.recipe)


class JsonRow(LineRow, RecipeRow):
    """One line.

    Args:
        file: The name of its file.
        number: Its number there.
        line: What it says.
        recipe: What becomes of its fields.
    """

    __slots__ = ("_recipe",)

    def __init__(self, file: str, number: int, line: bytes, recipe: Recipe) -> None:
        super().__init__(file, number, line)
        self._recipe = recipe

    @property
    def recipe(self) -> Recipe:
        """What becomes of its fields."""
        return self._recipe

    def text(self, column: str) -> str | None:
        """Return a field as text."""
        return text_of(self.fields().get(column))

    def value(self, column: str) -> object:
        """Return a field."""
        return self.fields().get(column)

    def unsent(self) -> set[str]:
        """Return the fields that its conversation is not made of."""
        return set(self.fields()) - set(self._recipe.columns)


def fields_of(line: bytes) -> dict[str, Any] | None:
    """Return the object of a line, None if it is none."""
    try:
        return object_in(line)
    except ValueError:
        return None
