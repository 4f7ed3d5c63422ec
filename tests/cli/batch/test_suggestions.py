"""A command that is suggested can be run as it stands, with all that was given and matters."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from oumi_fireworks.cli.batch.commands import app
from oumi_fireworks.cli.batch.options import OnceFlags, PriceFlags
from oumi_fireworks.cli.batch.suggestions import TAKES, Given, Suggested, suggested
from oumi_fireworks.cli.batch.table_flags import override
from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import CONFIG, Command, Ended, read_lines

NOT_TAKEN_OVER = {
    "--output": "names the place of other answers, or is the argument",
    "--overwrite": "is for what is there now",
    "--skip-bad": "is known of the rows that were submitted",
    "--json": "is for a script, which reads no suggestions",
    "--watch": "is said where it is meant",
}
"""Options of a command and of the one that it suggests which are not handed on, and why not."""


def _options(command: str) -> set[str]:
    group = get_command(app)
    assert hasattr(group, "commands")
    return {name for each in group.commands[command].params for name in each.opts}


@pytest.mark.parametrize("command", TAKES)
def test_a_suggested_command_has_the_options_that_it_is_given(command: Suggested) -> None:
    assert TAKES[command] <= _options(command)


@pytest.mark.parametrize(
    ("by", "command"),
    [("run", "retry"), ("submit", "results"), ("retry", "results"), ("status", "results")],
)
def test_an_option_of_both_commands_is_handed_on(by: str, command: Suggested) -> None:
    both = {name for name in _options(by) & _options(command) if name.startswith("--")}
    handed = {*TAKES[command], "--config"}
    assert both - handed <= set(NOT_TAKEN_OVER), "hand it on, or say why not"


def _said(ended: Ended, label: str) -> list[str]:
    (line,) = re.findall(rf"^{label}: +oumi-fireworks (.*)$", ended.err, re.MULTILINE)
    return shlex.split(line)


def test_open_rows_are_run_again_by_the_command_that_is_printed(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    Path("in.csv").write_text("text,n\ngood,1\nbad,2\n")
    at_emulator.faults.add(Fault(path="/chat/completions", status=400, times=1))
    given = (
        "--input", "in.csv", "--prompt", "It's ${n}: {text}", "--cache", "kept answers",
        "--price-in", "1", "--price-out", "2.5", "--max-cost", "3", "--events", "my events.jsonl",
        "--generation.max_new_tokens", "20",
    )  # fmt: skip
    ended = fireworks(
        "batch", "run", "--mode", "online", "-c", config, "--output", "out.csv", *given
    )
    assert ended.code == 3, ended.err
    again = _said(ended, "Retry")
    assert "${n}" in " ".join(again)
    known = Path("my events.jsonl").read_text().count("run_ended")
    ended = fireworks(*again)
    assert ended.code == 0, ended.err
    assert Path("my events.jsonl").read_text().count("run_ended") == known + 1
    assert "no price" not in ended.err


def test_the_answers_of_a_table_are_fetched_by_the_command_that_is_printed(
    fireworks: Command, config: Path
) -> None:
    config.write_text(
        CONFIG
        + "      input: {prompt: '{text}?', id_column: n}\n"
        + "      output: {prefix: 'the '}\n      accept: {not_empty: true}\n"
    )
    Path("in.csv").write_text("text,n\ngood,1\nbad,2\n")
    ended = fireworks("batch", "submit", "-c", config, "--input", "in.csv")
    assert ended.code == 0, ended.err
    assert fireworks(*_said(ended, "Wait")).code == 0
    fetch = _said(ended, "Fetch")
    assert fetch[-2:] == ["--output", "FILE"]
    ended = fireworks(*fetch[:-1], "out.jsonl", "--output-format", "rows")
    assert ended.code == 0, ended.err
    assert [row["text"] for row in read_lines(Path("out.jsonl"))] == ["good", "bad"]
    assert all("the answer" in row for row in read_lines(Path("out.jsonl")))


def test_every_suggestion_has_its_options_and_no_secret() -> None:
    given = Given(
        config="c.yaml",
        inputs=["a b.jsonl", "c.jsonl"],
        overrides=["generation.seed=1", override("input.prompt", "{a}"), override("cache", "x")],
        once=OnceFlags(key="k", deadline="6h"),
        prices=PriceFlags(0.1, None, 12345.67),
        max_cost=3.5,
        cost_in_metadata=True,
        events="e.jsonl",
        notify=["slack://tokena/tokenb", "json://host"],
    )
    assert suggested("retry", ["out.jsonl"], given) == (
        "oumi-fireworks batch retry out.jsonl -c c.yaml --input 'a b.jsonl' --input c.jsonl "
        "--price-in 0.1 --price-out 12345.67 --max-cost 3.5 --events e.jsonl --notify slack://... "
        "--notify json://... --generation.seed=1 --prompt '{a}' "
        """'--model.model_kwargs.fireworks.cache="x"' """
        """'--model.model_kwargs.fireworks.deadline="6h"'"""
    )
    assert suggested("results", ["b"], given) == (
        "oumi-fireworks batch results b -c c.yaml --input 'a b.jsonl' --input c.jsonl "
        "--price-in 0.1 --price-out 12345.67 --cost-in-metadata --prompt '{a}'"
    )
    assert suggested("status", ["b"], given) == (
        "oumi-fireworks batch status b --price-in 0.1 --price-out 12345.67"
    )
