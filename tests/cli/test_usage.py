"""Wrong use of any command ends with exit code 2, and a hint what would be right."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from typer.main import get_command

from oumi_fireworks.cli.commands import app
from oumi_fireworks.cli.strict import StrictCommand


def _commands(group: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    commands = getattr(group, "commands", None)
    if commands is None:
        yield path, group
        return
    for name, command in commands.items():
        yield from _commands(command, *path, name)


COMMANDS = dict(_commands(get_command(app)))
IDS = {path: " ".join(path) for path in COMMANDS}
VALUES = [
    (path, max(option.opts, key=len))
    for path, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option) and not (option.is_flag or option.multiple)
]


def _wrong(*arguments: str) -> str:
    ended = CliRunner().invoke(get_command(app), arguments)
    assert ended.exit_code == 2, ended.output
    return " ".join(ended.output.replace("│", " ").split())


@pytest.mark.parametrize(("path", "option"), VALUES, ids=lambda value: str(value))
def test_an_option_with_one_value_is_not_given_two(path: tuple[str, ...], option: str) -> None:
    assert isinstance(COMMANDS[path], StrictCommand)
    said = _wrong(*path, f"{option}=1", f"{option}=2")
    assert f"{option} is given 2 times, and takes one value. Leave out all but one." in said


@pytest.mark.parametrize("twice", ["--input=a", "--overwrite"])
def test_what_may_be_repeated_or_is_a_switch_may_be_there_twice(twice: str) -> None:
    context = COMMANDS["batch", "run"].make_context("run", ["--config=c", twice, twice])
    assert context.params["inputs" if "=" in twice else "overwrite"]


@pytest.mark.parametrize("path", COMMANDS, ids=IDS.get)
def test_an_option_that_does_not_exist_is_named(path: tuple[str, ...]) -> None:
    if COMMANDS[path].context_settings.get("ignore_unknown_options"):
        return  # it may be a setting of the configuration, which is looked at later
    assert "No such option: --jsn" in _wrong(*path, "--jsn")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["nope"], "No such command 'nope'"),
        (["batch", "statu"], "Did you mean 'status'?"),
        (["batch", "status"], "Missing argument 'ID'"),
        (["batch", "status", "a", "b"], "unexpected extra argument (b)"),
        (["batch", "run"], "Missing option '--config'"),
        (["batch", "run", "-c"], "Option '-c' requires an argument"),
        (["batch", "run", "-c", "c", "--mode", "x"], "is not one of 'batch', 'online'"),
        (["batch", "list", "--limit", "0"], "0 is not in the range x>=1"),
        (["models", "--al"], "Possible options: --all"),
    ],
)
def test_wrong_use_has_a_hint(arguments: list[str], hint: str) -> None:
    assert hint in _wrong(*arguments)
