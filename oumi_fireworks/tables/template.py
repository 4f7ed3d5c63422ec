"""A prompt with ``{column}`` where the value of a column goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from oumi_fireworks.errors import ConfigurationError

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt, taken apart.

    Attributes:
        texts: What stands before each field, and after the last one: one more than the fields.
        fields: The columns, in their order; one may occur twice.
    """

    texts: tuple[str, ...]
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> PromptTemplate:
        """Read a template.

        Args:
            text: ``{name}`` is a column, whatever its name; ``{{`` and ``}}`` are braces.

        Raises:
            ConfigurationError: If a brace stands alone, or there is no field.
        """
        texts, fields = [""], []
        end = 0
        for match in _PIECE.finditer(text):
            texts[-1] += text[end : match.start()]
            end = match.end()
            found = match[0]
            if found in ("{{", "}}"):
                texts[-1] += found[0]
            elif match[1]:
                fields.append(match[1])
                texts.append("")
            else:
                near = text[match.start() : match.start() + 20]
                raise ConfigurationError(
                    f"The prompt has a brace that begins or ends no column: {near!r}. Write {{{{ "
                    "and }} for braces that are text."
                )
        texts[-1] += text[end:]
        if not fields:
            raise ConfigurationError(
                "The prompt has no {column}, so that all rows would ask the same. Put the name of "
                "a column in braces into it."
            )
        return cls(tuple(texts), tuple(fields))

    def fill(self, text_of: Callable[[str], str | None]) -> str:
        """Put the values of a row in; a null is an empty text.

        Args:
            text_of: Gives a column's value as text.

        Raises:
            ValueError: If every column of it is null: there is nothing to ask.
        """
        parts = [self.texts[0]]
        has_value = False
        for field, after in zip(self.fields, self.texts[1:], strict=True):
            value = text_of(field)
            if value is not None:
                has_value = True
                parts.append(value)
            parts.append(after)
        if not has_value:
            raise ValueError(f"null in {_listed(self.fields)}: there is nothing to ask")
        return "".join(parts)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"column {name!r}" for name in dict.fromkeys(names))
