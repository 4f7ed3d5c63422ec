"""An input without a row to send: an output of the right kind, and nothing is sent."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oumi_fireworks import run_table
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.tables.answer_columns import COLUMNS
from tests.cli.batch.support import Command, question, read_lines, write_lines

SCHEMA = pa.schema([("text", pa.string()), ("day", pa.date32())])
SAID = "The input has no row to send: nothing was sent."
MODES = pytest.mark.parametrize("mode", ["batch", "online"])
ROWS = ("--prompt", "{text}")


@pytest.fixture(autouse=True)
def inputs(at_emulator: Emulator) -> None:
    """Inputs of each kind, without rows."""
    pq.write_table(SCHEMA.empty_table(), "in.parquet")
    Path("in.csv").write_text("text,day\n")
    Path("in.jsonl").write_bytes(b"\n \n")


@MODES
@pytest.mark.parametrize(
    ("source", "output", "flags"),
    [
        ("in.parquet", "out.parquet", ROWS),
        ("in.csv", "out.csv", ROWS),
        ("in.csv", "rows.jsonl", (*ROWS, "--output-format", "rows")),
        ("in.jsonl", "out.jsonl", ()),
        ("in.jsonl", "-", ("--key", "k")),
    ],
)
def test_an_output_of_its_kind_has_no_rows(
    fireworks: Command,
    config: Path,
    at_emulator: Emulator,
    mode: str,
    source: str,
    output: str,
    flags: tuple[str, ...],
) -> None:
    if mode == "online" and "--key" in flags:
        flags = ()
    run = ("batch", "run", "-c", config, "--mode", mode, "--input", source)
    ended = fireworks(*run, "--output", output, "--report", "page.html", *flags)
    assert ended.code == 0, ended.err
    assert SAID in ended.err
    assert not at_emulator.requests_to("POST")
    assert Path("page.html").exists()
    assert not list(Path().glob("*.run")) + list(Path().glob("*.errors.jsonl"))
    if output == "out.parquet":
        schema = pq.read_schema(output)
        assert schema.names == ["text", "day", *COLUMNS]
        assert schema.field("day").type == pa.date32()
        assert pq.read_table(output).num_rows == 0
    elif output == "out.csv":
        (header,) = Path(output).read_text().splitlines()
        assert header.replace('"', "").split(",") == ["text", "day", *COLUMNS]
    else:
        assert (ended.out if output == "-" else Path(output).read_text()) == ""
    if output != "-":
        reported = fireworks("batch", "report", output)
        assert reported.code == 0, reported.err


@MODES
def test_rows_that_cannot_be_sent_are_written_down_all_the_same(
    fireworks: Command, config: Path, at_emulator: Emulator, mode: str
) -> None:
    write_lines(Path("in.jsonl"), [b"{", {"messages": []}])
    run = ("batch", "run", "-c", config, "--mode", mode, "--input", "in.jsonl")
    ended = fireworks(*run, "--output", "out.jsonl", "--skip-bad")
    assert ended.code == 3, ended.err
    assert SAID in ended.err
    assert Path("out.jsonl").read_bytes() == b""
    assert [row["line"] for row in read_lines(Path("out.jsonl.errors.jsonl"))] == [1, 2]
    assert not at_emulator.requests_to("POST")


@MODES
def test_python_gets_a_run_of_no_rows(config: Path, mode: str) -> None:
    done = run_table("in.csv", "out.csv", config, prompt="{text}", mode=mode)  # type: ignore[arg-type]
    assert (done.answered, done.failed, done.is_complete) == (0, 0, True)


def test_it_can_be_checked_and_there_is_nothing_to_submit(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    check = fireworks("batch", "check", "-c", config, "--input", "in.jsonl")
    assert (check.code, check.err.count("Traceback")) == (0, 0)
    assert "The input has no row to send" in check.out
    assert not re.search(r"^(Requests|Tokens|Cost|Longest|Messages) ", check.out, re.MULTILINE)
    assert "pilot" not in check.out
    for key in ((), ("--key", "k")):
        submitted = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl", *key)
        assert (submitted.code, submitted.out) == (2, "")
        assert SAID.removesuffix("sent.") + "submitted, so there is no id." in submitted.err
    assert not at_emulator.requests_to("POST")


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.parquet", "in.arrow"])
@pytest.mark.parametrize("command", ["check", "run", "submit"])
def test_a_table_without_a_header_or_a_schema_is_no_table_without_rows(
    fireworks: Command, config: Path, at_emulator: Emulator, command: str, name: str
) -> None:
    Path(name).write_bytes(b"")
    output = ("--output", "out.csv") if command == "run" else ()
    ended = fireworks("batch", command, "-c", config, "--input", name, *ROWS, *output)
    assert ended.code == 2
    assert f"{name} is empty: it has no " in ended.err
    assert not Path("out.csv").exists()
    assert not at_emulator.requests_to("POST")


def test_an_input_that_was_emptied_does_not_end_a_run(fireworks: Command, config: Path) -> None:
    write_lines(Path("in.jsonl"), [question("a")])
    run = ("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    limit = "--model.model_kwargs.fireworks.max_cost=0.0000001"
    assert fireworks(*run, limit).code != 0
    assert fireworks(*run).code == 0
    Path("in.jsonl").write_bytes(b"")
    ended = fireworks(*run)
    assert ended.code == 2
    assert len(read_lines(Path("out.jsonl"))) == 1
