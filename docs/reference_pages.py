"""The pages of the reference that are made from the code, so that they cannot say anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import click
import typer.main
from rich.text import Text

from docs.cures import CURES
from oumi_fireworks import errors
from oumi_fireworks.cli.commands import app
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.schemas import SCHEMAS, schema_of
from oumi_fireworks.params import options_schema, options_table


def options_page() -> str:
    """Return the page on the options."""
    described = options_schema()["properties"]
    assert isinstance(described, dict)
    lines = [
        "# Options",
        "",
        "Under `model.model_kwargs.fireworks` in YAML, or as keyword arguments of the engine in "
        "Python. An option that does not exist is an error, which names the nearest one.",
        "",
        "For completion in an editor: `oumi-fireworks schema > schema.json`, and "
        "`# yaml-language-server: $schema=schema.json` as the first line of the YAML file. The "
        "schema is also [here](../schema/config.json).",
    ]
    for option in options_table():
        schema = described[option.name]
        first, _, rest = schema["description"].partition(option.summary)[2].partition(". ")
        more = (first + (". " if rest else "") + rest).strip()
        lines += ["", f"## `{option.name}`", "", option.summary, *(["", more] if more else []), ""]
        lines += [f"*Takes* {_takes(schema)}. *Default:* `{json.dumps(option.default)}`"]
    return _page(lines)


def _takes(schema: dict[str, object]) -> str:
    """Say in words what a value may be."""
    if isinstance(schema.get("anyOf"), list):
        alternatives = schema["anyOf"]
        assert isinstance(alternatives, list)
        return " or ".join(_takes(each) for each in alternatives)
    if isinstance(schema.get("enum"), list):
        return ", ".join(f"`{value}`" for value in schema["enum"])  # type: ignore[attr-defined]
    bounds = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "above",
    }
    said = [f"{words} {schema[name]:,}" for name, words in bounds.items() if name in schema]
    kinds = {
        "integer": "a whole number",
        "number": "a number",
        "string": "a text",
        "boolean": "`true` or `false`",
        "null": "`null`",
        "array": "a list",
        "object": "a mapping",
    }
    return ", ".join([kinds.get(str(schema.get("type")), "a value"), *said])


def commands_page() -> str:
    """Return the page on the commands."""
    lines = [
        "# Commands",
        "",
        "Every command explains itself with `--help`. `oumi-fireworks --install-completion` lets "
        "the shell complete commands and options.",
    ]
    for path, command in commands():
        lines += ["", f"## `{' '.join(path)}`", "", _words(command.help or "")]
        context = click.Context(command, info_name=" ".join(path))
        usage = " ".join(command.collect_usage_pieces(context))
        lines += ["", "```text", f"{' '.join(path)} {usage}", "```"]
        rows = [row for parameter in command.params if (row := _row(parameter, context))]
        if rows:
            lines += ["", "| | |", "|---|---|", *rows]
    return _page(lines)


def commands() -> Iterator[tuple[list[str], click.Command]]:
    """Yield every command with its words; groups are none."""
    yield from _below(["oumi-fireworks"], typer.main.get_command(app))


def _below(path: list[str], command: click.Command) -> Iterator[tuple[list[str], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, inner in command.commands.items():
        if not inner.hidden:
            yield from _below([*path, name], inner)


def _row(parameter: click.Parameter, context: click.Context) -> str:
    if getattr(parameter, "hidden", False):
        return ""
    text = _words(getattr(parameter, "help", None) or "").replace("|", "\\|").replace("\n", " ")
    if isinstance(parameter, click.Argument):
        return f"| `{parameter.make_metavar(context)}` | {text} |"  # type: ignore[call-arg]
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    takes = "" if parameter.is_flag else f" {parameter.make_metavar(context)}"  # type: ignore[attr-defined,call-arg]
    needed = " **Needed.**" if parameter.required else ""
    default = parameter.default
    if default in (None, False, ()) or callable(default) or parameter.required:
        said = ""
    else:
        said = f" Default: `{default}`."
    return f"| `{names}{takes.replace('|', chr(92) + '|')}` | {text}{needed}{said} |"


def _words(text: str) -> str:
    """Return a help text without the markup of the terminal."""
    text = re.sub(r"\[cyan\](.*?)\[/cyan\]", r"`\1`", text, flags=re.DOTALL)
    return Text.from_markup(text).plain.strip()


def errors_page() -> str:
    """Return the page on the errors: each with its cause and its cure."""
    lines = [
        "# Errors",
        "",
        "Every error that is raised on purpose is a `FireworksError`, which is a `RuntimeError`; "
        "import them from `oumi_fireworks`. The message says what happened, where, and what to do "
        "next, and keeps the service's own words.",
        "",
        "```text",
        *_tree(errors.FireworksError, ""),
        "```",
    ]
    for name in error_names():
        cause = " ".join((getattr(errors, name).__doc__ or "").split("\n\n")[0].split())
        base = getattr(errors, name).__bases__[0].__name__
        parent = f" A `{base}`." if base in error_names() else ""
        cure = CURES.get(name, "")
        lines += ["", f"## `{name}`", "", f"**Cause.** {_code(cause)}{parent}"]
        lines += ["", f"**Cure.** {cure}"] if cure else []
    return _page(lines)


def error_names() -> list[str]:
    """Return the names of all public errors, in the order of their tree."""
    return [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    ]


def _tree(error: type[Exception], margin: str) -> list[str]:
    inner = [
        line
        for each in error.__subclasses__()
        if each.__module__ == errors.__name__
        for line in _tree(each, margin + "  ")
    ]
    return [f"{margin}{error.__name__}", *inner]


def _code(text: str) -> str:
    return text.replace("``", "`")


def exit_codes_page() -> str:
    """Return the page on the exit codes."""
    lines = [
        "# Exit codes",
        "",
        "Those of every `oumi-fireworks` command.",
        "",
        "| code | |",
        "|---|---|",
    ]
    meanings = _docstrings_below(ExitCode)
    lines += [f"| {int(code)} | {meanings[code.name]} |" for code in ExitCode]
    lines += [
        "",
        "`batch status` exits with 0, and with `--watch` as the batch has ended. `emulator exec` "
        "exits as its command does, with 127 if there is no such command, 126 if it cannot be "
        "executed. With the option `on_failed_rows: keep`, `oumi infer` exits with 3 when rows "
        "have failed.",
    ]
    return _page(lines)


def _docstrings_below(enum: type[ExitCode]) -> dict[str, str]:
    import inspect

    source = inspect.getsource(enum)
    found = re.findall(r'^    (\w+) = \d+\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}


def json_page() -> str:
    """Return the page on what is printed for programs."""
    lines = [
        "# JSON and schemas",
        "",
        "`oumi-fireworks schema NAME` prints a JSON Schema; without a name, that of a "
        "configuration file. Fields may be added in any release; those that are there keep their "
        "name and their meaning. Times are ISO 8601 with an offset.",
        "",
        "| name | describes | |",
        "|---|---|---|",
        *(
            f"| `{name}` | {each.describes} | [schema](../schema/{name}.json) |"
            for name, each in SCHEMAS.items()
        ),
    ]
    for name, each in SCHEMAS.items():
        if name not in ("config", "options"):
            lines += ["", f"## {each.describes}", "", *_shape(name)]
    return _page(lines)


def _shape(name: str) -> Iterator[str]:
    """Show the fields of a schema, each on a line."""
    schema = schema_of(name)
    definitions = schema.get("$defs", {})
    roots = schema.get("anyOf") or [schema.get("items") or schema]
    if "items" in schema:
        yield "A list of these:"
        yield ""
    for root in roots:
        found = _resolved(root, definitions)
        yield " ".join(str(found.get("description", "")).replace("``", "`").split())
        yield ""
        yield "| field | is | |"
        yield "|---|---|---|"
        for field, value in found["properties"].items():
            text = " ".join(str(value.get("description", "")).split()).replace("|", "\\|")
            yield f"| `{field}` | {_kind(value, definitions)} | {text} |"
        yield ""


def _resolved(schema: dict[str, object], definitions: dict[str, dict[str, object]]) -> dict:  # type: ignore[type-arg]
    reference = str(schema.get("$ref", ""))
    return {**definitions[reference.rpartition("/")[2]], **schema} if reference else schema


def _kind(schema: dict[str, object], definitions: dict[str, dict[str, object]]) -> str:
    """Say in few words what a field is; an object of named fields by these."""
    found = _resolved(schema, definitions)
    if isinstance(found.get("anyOf"), list):
        return " or ".join(_kind(each, definitions) for each in found["anyOf"])
    if "const" in found:
        return f"`{found['const']}`"
    if "enum" in found:
        return ", ".join(f"`{each}`" for each in found["enum"])
    if found.get("type") == "array":
        return f"list of {_kind(found['items'], definitions)}"
    if "properties" in found:
        return "{" + ", ".join(f"`{name}`" for name in found["properties"]) + "}"
    return str(found.get("type", "any"))


def _page(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


PAGES = {
    "reference/options.md": options_page,
    "reference/commands.md": commands_page,
    "reference/errors.md": errors_page,
    "reference/exit-codes.md": exit_codes_page,
    "reference/json.md": json_page,
}
"""What makes each page, by its place below docs/."""
