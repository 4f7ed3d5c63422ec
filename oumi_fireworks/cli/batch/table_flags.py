"""The flags for tables: each sets an option ``input`` or ``output`` of the configuration."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import typer

from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.options.tables import INPUT_FORMATS, OUTPUT_FORMATS, InputOptions, OutputOptions

_META = "oumi_fireworks.table_overrides"
_OPTIONS = "model.model_kwargs.fireworks"

_INPUT_PANEL = "Input: what its columns are for"
_OUTPUT_PANEL = "Output: how it is written"


def _input(flag: str, metavar: str, text: str) -> object:
    option = typer.Option(flag, metavar=metavar, help=text, rich_help_panel=_INPUT_PANEL)
    return Annotated[str | None, option]


INPUT_FLAGS: Mapping[str, object] = {
    "input.format": _input(
        "--input-format",
        "FORMAT",
        f"What the input is: {', '.join(INPUT_FORMATS)}. Default: told by what is in it.",
    ),
    "input.prompt": _input(
        "--prompt", "TEXT|@FILE", "The user message, with {column} where a value goes."
    ),
    "input.prompt_column": _input("--prompt-column", "COLUMN", "The column with the user message."),
    "input.messages_column": _input(
        "--messages-column", "COLUMN", "The column with whole conversations."
    ),
    "input.system": _input(
        "--system", "TEXT|@FILE|COLUMN", "The system message: a text, a file's, or a column's."
    ),
    "input.image_column": _input(
        "--image-column", "COLUMN", "The column with pictures: paths, addresses or bytes."
    ),
    "input.id_column": _input("--id-column", "COLUMN", "The column with the conversation_id."),
}
"""The flags of commands that read rows, by the options that they set."""

OUTPUT_FLAGS: Mapping[str, object] = {
    "output.format": Annotated[
        str | None,
        typer.Option(
            "--output-format",
            metavar="FORMAT",
            help=f"How it is written: {', '.join(OUTPUT_FORMATS)}. Default: told by its name.",
            rich_help_panel=_OUTPUT_PANEL,
        ),
    ],
    "output.prefix": Annotated[
        str | None,
        typer.Option(
            "--prefix",
            metavar="TEXT",
            help="Goes before the names of the new columns, such as answer.",
            rich_help_panel=_OUTPUT_PANEL,
        ),
    ],
    "output.expand": Annotated[
        bool,
        typer.Option(
            "--expand",
            help="Make columns of the fields of answers, which guided_decoding.json describes.",
            rich_help_panel=_OUTPUT_PANEL,
        ),
    ],
}
"""The flags of commands that write rows."""

ROWS_IN_AND_OUT = {**INPUT_FLAGS, **OUTPUT_FLAGS}

FETCHED_ROWS = {name: flag for name, flag in ROWS_IN_AND_OUT.items() if name != "output.expand"}
"""Those of a command without a configuration, which does not know what answers look like."""


def flag_of(option: str) -> str:
    """Return the flag that sets an option."""
    info = get_args(ROWS_IN_AND_OUT[option])[1]
    return str(info.default)  # where typer puts the first name, in an annotation


def parameter_of(option: str) -> str:
    """Return the name of the parameter that sets an option."""
    return option.replace(".", "_")


def with_flags(
    command: Callable[..., ExitCode], flags: Mapping[str, object]
) -> Callable[..., ExitCode]:
    """Give a command flags. What they say reaches it as overrides of the configuration.

    Args:
        command: Its first parameter is the context.
        flags: The flags, by the options that they set.
    """
    names = {option: parameter_of(option) for option in flags}

    @functools.wraps(command)
    def run(context: typer.Context, **arguments: Any) -> ExitCode:
        given = {option: arguments.pop(name) for option, name in names.items()}
        context.meta[_META] = {option: value for option, value in given.items() if value}
        return command(context, **arguments)

    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if option == "output.expand" else None,
            annotation=flags[option],
        )
        for option, name in names.items()
    ]
    parameters = [*signature.parameters.values(), *added]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def table_overrides(context: typer.Context) -> list[str]:
    """Return what the flags of a command say, as overrides of the configuration."""
    return [override(option, value) for option, value in context.meta.get(_META, {}).items()]


@dataclass(frozen=True)
class TableOptions:
    """What the flags of a command say that has no configuration.

    Attributes:
        input: The options ``input``.
        output: The options ``output``.
    """

    input: InputOptions
    output: OutputOptions


def table_options(context: typer.Context) -> TableOptions:
    """Return what the flags of a command say.

    Raises:
        OptionError: If an option has a value that it does not take.
    """
    given: dict[str, dict[str, Any]] = {"input": {}, "output": {}}
    for option, value in context.meta.get(_META, {}).items():
        section, _, name = option.partition(".")
        given[section][name] = value
    return TableOptions(
        InputOptions.from_dict(given["input"]), OutputOptions.from_dict(given["output"])
    )


def override(option: str, value: object) -> str:
    """Return an option of the engine as an override of the configuration."""
    # JSON is YAML. "${" would be taken for a reference to another setting.
    text = json.dumps(value, ensure_ascii=False).replace("${", r"\\${")
    return f"{_OPTIONS}.{option}={text}"


def option_in(setting: str) -> tuple[str, str] | None:
    """Return the option of a table that an override sets, and its value as a flag has it.

    Args:
        setting: An override.

    Returns:
        None where it sets something else, or a flag could not say it.
    """
    key, _, text = setting.partition("=")
    option = key.removeprefix(f"{_OPTIONS}.")
    if option == key or option not in ROWS_IN_AND_OUT:
        return None
    try:
        value = json.loads(text.replace(r"\\${", "${"))
    except ValueError:  # written by hand, as YAML
        return None
    return (option, value) if isinstance(value, str) else None
