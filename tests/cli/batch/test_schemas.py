"""``oumi-fireworks schema``: what it says is what is taken, refused and printed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import typer.main
import yaml  # type: ignore[import-untyped]

from oumi_fireworks.cli.commands import app
from oumi_fireworks.cli.schemas import SCHEMAS, schema_of
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import OptionError
from oumi_fireworks.params import FireworksParams
from oumi_fireworks.request_fields import RULES, Rule, check_extra_body
from tests.cli.batch.support import Command, question, submit, write_lines

OPTIONS = schema_of("options")
CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))

OTHERS = {"config", "options", "events"}
"""The schemas that describe no output of a command."""

VALUES: list[object] = [
    None, True, False, -1, 0, 1, 5, 200, 5000, 10**10, -0.5, 0.5, 1.5, "", "a text", "my-team",
    "accounts/my-team", "online", "batch", "auto", "off", "always", "never", "raise", "keep", "12h",
    "low", "required", "flex", "json://localhost", ["json://localhost"],
    [], ["a"], ["a"] * 5, [1], {}, {"a": "b"}, {"a": 1}, {"7": 50},
    {"7": 500}, {"type": "enabled"}, {"type": "enabled", "budget_tokens": 5}, {"type": "grammar"},
    {"type": "text"}, {"content": "a"}, {"content": 1}, {"type": "function"},
]  # fmt: skip
"""Of each kind that a YAML file can hold, and around each bound."""

LOOSER = {
    ("response_format", "{'type': 'grammar'}"),
    ("tool_choice", "{'type': 'function'}"),
}
"""Fields and values that the schema lets pass and the rule, which looks inside, refuses."""


def holds(schema: dict[str, Any], value: object) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def strict(schema: Any) -> Any:
    """The same schema, in which no object may have a field that is not listed."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: strict(each) for name, each in schema.items()}
    return {"additionalProperties": False, **inner} if "properties" in schema else inner


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_is_a_schema_that_the_command_prints(name: str, fireworks: Command) -> None:
    ended = fireworks("schema", name)
    assert ended.code == 0
    printed = json.loads(ended.out)
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed == schema_of(name)


def test_the_names_are_listed_and_a_wrong_one_is_told_the_nearest(fireworks: Command) -> None:
    assert [line.split()[0] for line in fireworks("schema", "--list").out.splitlines()[1:]] == [
        *SCHEMAS
    ]
    wrong = fireworks("schema", "optons")
    assert wrong.code == 2
    assert "Did you mean 'options'?" in wrong.err


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_example_follows_the_schema_and_a_typing_mistake_in_it_does_not(path: Path) -> None:
    schema = schema_of("config")
    config = yaml.safe_load(path.read_text("utf-8"))
    jsonschema.validate(config, schema)
    options = config["model"].setdefault("model_kwargs", {}).setdefault("fireworks", {})
    options["mod"] = "batch"
    assert not holds(schema, config)
    del options["mod"]
    options["mode"] = "batsh"
    assert not holds(schema, config)
    options["mode"] = "batch"
    assert holds(schema, config)
    config["generation"]["max_new_tokns"] = 5
    assert not holds(schema, config)


def test_the_schema_has_each_option_with_its_default_and_a_description() -> None:
    properties: dict[str, dict[str, Any]] = schema_of("options")["properties"]
    defaults = dataclasses.asdict(FireworksParams())
    assert {name: each["default"] for name, each in properties.items()} == defaults
    for name, each in properties.items():
        assert each["description"], name
        assert holds(each, defaults[name]), name
        assert set(each) & {"type", "anyOf", "enum"}, f"{name}: its rule has no schema"


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_follows_the_schema_of_just_those_options_that_take_it(value: object) -> None:
    for name in OPTIONS["properties"]:
        try:
            FireworksParams(**{name: value})  # type: ignore[arg-type]
        except OptionError:
            taken = False
        else:
            taken = True
        assert holds(OPTIONS, {name: value}) == taken, name


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_follows_the_schema_of_just_those_fields_that_take_it(value: object) -> None:
    for name in set(RULES) - {"messages", "model", "stream", "stream_options", "n"}:
        try:
            check_extra_body({name: value})
        except OptionError:
            taken = (name, repr(value)) in LOOSER
        else:
            taken = True
        assert holds(OPTIONS, {"extra_body": {name: value}}) == taken, name


def test_rules_that_are_joined_have_one_list_of_alternatives() -> None:
    one, two, three = (
        Rule(kind, lambda _: True, schema={"type": kind}) for kind in ("integer", "null", "string")
    )
    assert (one | two | three).schema == {
        "anyOf": [{"type": "integer"}, {"type": "null"}, {"type": "string"}]
    }


def _with_json(command: click.Command, *path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _with_json(inner, *path, name)
    elif any("--json" in parameter.opts for parameter in command.params):
        yield "-".join(path)


def test_every_command_that_prints_json_has_a_schema() -> None:
    printing = set(_with_json(typer.main.get_command(app)))
    assert printing
    assert printing == set(SCHEMAS) - OTHERS


def test_what_is_printed_follows_its_schema_and_has_nothing_else(
    fireworks: Command, at_emulator: Emulator, config: Path, tmp_path: Path
) -> None:
    prices = ["--price-in", "1", "--price-out", "1"]
    source = write_lines(tmp_path / "in.jsonl", [question("good", label=1), question("[[fail]]")])
    given = ["-c", config, "--input", source]
    bad = write_lines(tmp_path / "bad.jsonl", [question("good"), {"no": "messages"}])
    batch = submit(at_emulator, ["good", "[[fail]]"], rows_a_job=1)
    running = submit(at_emulator, ["good"])
    run = ["batch", "run", *given, "--cache", "cache", "--output", "out.jsonl"]
    assert fireworks(*run).code == 3
    calls: list[list[object]] = [
        ["models", "--all"],
        ["batch", "check", "-c", config, "--input", bad, *prices],
        ["batch", "check", *given],
        ["batch", "cancel", running, "--yes"],
        ["batch", "status", batch, "--watch", *prices],
        ["batch", "status", batch],
        ["batch", "list", "--all", *prices],
        ["batch", "retry", "out.jsonl", *given],
        ["batch", "retry", batch, *given],
        ["batch", "clean", "--older-than", "0", "--yes"],
        ["cache", "stats", "cache"],
        ["cache", "clear", "cache", "--yes"],
    ]
    covered = set()
    for call in calls:
        ended = fireworks(*call, "--json")
        name = "-".join(map(str, call[: 1 if call[0] == "models" else 2]))
        covered.add(name)
        assert ended.out, (call, ended.err)
        jsonschema.validate(json.loads(ended.out), strict(schema_of(name)))
    assert covered == set(SCHEMAS) - OTHERS - {"doctor"}  # that one: in test_doctor
