"""The options ``input`` and ``output``: what the columns of a table are for, and how it is written.

Light, as :mod:`oumi_fireworks.params` is: the command line reads them before anything heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from oumi_fireworks.errors import OptionError
from oumi_fireworks.options.fields import check_option, option, schema_of
from oumi_fireworks.request_fields import FLAG, MAPPING, NULL, TEXT, Rule, did_you_mean, one_of

INPUT_FORMATS = ("jsonl", "openai", "csv", "tsv", "parquet", "arrow")
OUTPUT_FORMATS = ("jsonl", "rows", "openai", "csv", "tsv", "parquet", "arrow")

_ASKS = ("prompt", "prompt_column", "messages_column")
"""Ways to say where the prompt is, of which a row has one."""

_ANY_TEXT = Rule("a text", lambda value: isinstance(value, str), schema={"type": "string"})
_TEXT = TEXT | NULL


@dataclass(frozen=True, kw_only=True)
class _Options:
    """Options with a rule for each."""

    _name: ClassVar[str]

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Read options.

        Args:
            raw: Their names and values.

        Raises:
            OptionError: If an option does not exist, or has a value that it does not take.
        """
        known = {each.name: each.metadata["rule"] for each in fields(cls)}
        for name, value in raw.items():
            rule = known.get(name)
            if rule is None:
                raise OptionError(
                    f"There is no {cls._name} option {name!r}.{did_you_mean(name, known)} "
                    f"The options are: {', '.join(known)}."
                )
            check_option(f"{cls._name}.{name}", value, rule)
        return cls(**raw)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the options."""
        return [each.name for each in fields(cls)]

    @classmethod
    def rule(cls) -> Rule:
        """Return the rule for a mapping of these options, with its JSON Schema."""
        return Rule(f"a mapping of {', '.join(cls.names())}", MAPPING.holds, schema=schema_of(cls))

    def given(self) -> dict[str, Any]:
        """Return the options that are set."""
        return {
            each.name: value
            for each in fields(self)
            if (value := getattr(self, each.name)) != each.default
        }


@dataclass(frozen=True, kw_only=True)
class InputOptions(_Options):
    """How the rows of an input become conversations."""

    _name: ClassVar[str] = "input"

    format: str | None = option(
        None, one_of(*INPUT_FORMATS) | NULL, "What it is. Default: told by what is in it."
    )
    prompt: str | None = option(
        None,
        _TEXT,
        """The user message, with {column} where the value of a column goes, and {{ for a brace;
        @FILE reads it from a file.""",
    )
    prompt_column: str | None = option(None, _TEXT, "The column with the user message.")
    messages_column: str | None = option(
        None, _TEXT, "The column with whole conversations: lists of messages, or JSON."
    )
    system: str | None = option(
        None, _TEXT, "The system message: a column's name, @FILE, or the text itself."
    )
    image_column: str | None = option(
        None, _TEXT, "The column with pictures: paths, addresses or bytes, one or a list."
    )
    id_column: str | None = option(None, _TEXT, "The column that becomes the conversation_id.")

    def __post_init__(self) -> None:
        several = [name for name in _ASKS if getattr(self, name) is not None]
        if len(several) > 1:
            raise OptionError(
                f"The input options {' and '.join(several)} contradict each other: a row has one "
                "prompt. Leave all but one out."
            )

    @property
    def names_columns(self) -> bool:
        """Whether any of them says what a column is for."""
        return bool(self.given().keys() - {"format"})


@dataclass(frozen=True, kw_only=True)
class OutputOptions(_Options):
    """How the rows are written."""

    _name: ClassVar[str] = "output"

    format: str | None = option(
        None, one_of(*OUTPUT_FORMATS) | NULL, "How. Default: told by the name of the output."
    )
    prefix: str = option("", _ANY_TEXT, "Goes before the names of the new columns.")
    expand: bool = option(
        False, FLAG, "Whether the fields of an answer's JSON become columns of their own."
    )


def with_table_options(
    asked: InputOptions, written: OutputOptions, given: Mapping[str, Any]
) -> tuple[InputOptions, OutputOptions]:
    """Return options with others that win.

    Args:
        asked: The options ``input``.
        written: The options ``output``.
        given: Options of either, by their names; ``format`` is none of them.

    Raises:
        OptionError: If there is no such option, or a value is not what it takes.
    """
    of_input = {*InputOptions.names()} - {"format"}
    of_output = {*OutputOptions.names()} - {"format"}
    for name in given:
        if name not in of_input | of_output:
            raise OptionError(
                f"There is no option {name!r} for a table."
                f"{did_you_mean(name, of_input | of_output)} The options are: "
                f"{', '.join(sorted(of_input | of_output))}."
            )
    mine = {name: value for name, value in given.items() if name in of_input}
    others = {name: value for name, value in given.items() if name in of_output}
    kept = asked.given()
    if mine.keys() & set(_ASKS):  # another way to ask replaces the one of the options
        kept = {name: value for name, value in kept.items() if name not in _ASKS}
    return (
        InputOptions.from_dict({**kept, **mine}),
        OutputOptions.from_dict({**written.given(), **others}),
    )
