"""Commands started with streams that are closed, or that cannot write every letter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import CONFIG, question, read_lines, submit, write_lines

SCRIPT = Path(sys.executable).with_name("oumi-fireworks")


def shell(line: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell in which F is the command."""
    return subprocess.run(
        ["sh", "-c", line.replace("F ", f"{SCRIPT} ")],
        input=b'{"messages": [{"role": "user", "content": "piped"}]}\n',
        capture_output=True,
        env={**os.environ, **environ},
        check=False,
    )


@pytest.fixture
def batch(at_emulator: Emulator) -> str:
    """A batch, with what `check` and `run` need beside it."""
    Path("config.yaml").write_text(CONFIG)
    write_lines(Path("in.jsonl"), [question("Grüße 🙂", mood="–")])
    return submit(at_emulator, ["a"])


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8:strict"])
def test_what_an_encoding_does_not_have_is_written_as_a_question_mark(
    batch: str, encoding: str
) -> None:
    checked = shell("F batch check -c config.yaml -i in.jsonl", PYTHONIOENCODING=encoding)
    assert checked.returncode == 0, checked.stderr
    assert b"Ready to be sent." in checked.stdout
    assert b"Traceback" not in checked.stderr
    if encoding == "ascii":
        assert checked.stdout.isascii()
    listed = shell("F batch list", PYTHONIOENCODING=encoding)
    assert listed.returncode == 0, listed.stderr
    assert batch.encode() in listed.stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["list", "cancel ID --yes", "check -c config.yaml -i in.jsonl"])
def test_closed_streams_are_no_error(batch: str, command: str, closed: str) -> None:
    done = shell(f"F batch {command.replace('ID', batch)} {closed}")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_run_without_streams_does_its_work(batch: str) -> None:
    command = "F batch run -c config.yaml --output out.jsonl"
    done = shell(f"{command} --input in.jsonl <&- >&- 2>&-")
    assert done.returncode == 0
    assert len(read_lines(Path("out.jsonl"))) == 1
    nothing = shell(f"{command} --overwrite --input - <&-")
    assert nothing.returncode == 2
    assert b"Nothing is piped into standard input." in nothing.stderr
    assert len(read_lines(Path("out.jsonl"))) == 1


@pytest.mark.parametrize("source", ["/dev/stdin", "<(cat)", "pipe"])
def test_a_pipe_with_a_name_is_read(batch: str, source: str) -> None:
    os.mkfifo("pipe")
    feed = "cat > pipe & " if source == "pipe" else ""
    line = f"{feed}{SCRIPT} batch run -c config.yaml --input {source} --output out.jsonl"
    if feed:
        line = line.replace("cat >", "cat in.jsonl >")
    done = subprocess.run(
        ["bash", "-c", line],
        input=Path("in.jsonl").read_bytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = read_lines(Path("out.jsonl"))
    assert row["messages"][0]["content"] == "Grüße 🙂"
