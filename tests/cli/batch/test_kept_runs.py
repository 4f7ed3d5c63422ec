"""The folder beside an output: whose it is, what stays of it, and a run that is kept in it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api.consistency import RESULTS_TIMEOUT_VARIABLE
from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import Command, question, read_lines, write_lines

BATCH_RUN = ["batch", "run", "--input", "in.jsonl", "--output", "out.jsonl"]


def lines_of(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_answers_that_come_late_are_put_into_the_same_output_by_the_same_command(
    fireworks: Command, config: Path, at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[str, Any]] = []

    def write_one(job: Any, rows: list[dict[str, Any]]) -> dict[str, bytes]:
        written.extend(rows)
        return {"first.jsonl": lines_of(rows[:1])}

    at_emulator.output_writer = write_one
    monkeypatch.setenv(RESULTS_TIMEOUT_VARIABLE, "0.2")
    write_lines(Path("in.jsonl"), [question("a"), question("b")])
    command = [*BATCH_RUN, "-c", config]
    for arguments in (command, command):
        short = fireworks(*arguments)
        assert short.code == 3, short.err
        assert "counts 2 answered rows, and the answers of 1 are here" in short.err
        assert "the same command goes on" in short.err
        assert "Retry:" not in short.err
        assert len(read_lines(Path("out.jsonl"))) == 1
    refused = fireworks("batch", "retry", "out.jsonl", "-c", config, "--input", "in.jsonl")
    assert refused.code == 2
    assert "may still come" in refused.err
    changed = write_lines(Path("other.jsonl"), [question("c")])
    other = fireworks(*BATCH_RUN, "-c", config, "--input", changed)
    assert other.code == 2
    results = Path("out.jsonl.run", "results", "0", at_emulator.jobs[0].id)
    results.joinpath("0123456789abcdef.jsonl").write_bytes(lines_of(written))
    assert fireworks(*command).code == 0
    assert len(read_lines(Path("out.jsonl"))) == 2
    assert not Path("out.jsonl.run").exists()
    assert len(at_emulator.jobs) == 1


def test_what_was_killed_after_it_delivered_is_over_and_its_output_is_not_replaced(
    fireworks: Command, config: Path, at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_emulator.output_writer = lambda job, rows: {"first.jsonl": lines_of(rows[:1])}
    monkeypatch.setenv(RESULTS_TIMEOUT_VARIABLE, "0")
    write_lines(Path("in.jsonl"), [question("a"), question("b")])
    command = [*BATCH_RUN, "-c", config]
    assert fireworks(*command).code == 3
    manifest = Path("out.jsonl.run", "run.json")
    delivering = manifest.read_text().replace('"stage": "submitted"', '"stage": "delivering"')
    manifest.write_text(delivering)
    refused = fireworks(*command, "--generation.max_new_tokens", "7")
    assert refused.code == 2
    assert "out.jsonl exists already. Nothing was sent" in refused.err
    assert not manifest.exists()
    assert len(at_emulator.jobs) == 1


@pytest.mark.parametrize("ending", ["run", "fetch"])
def test_a_folder_of_the_user_s_own_is_wrong_use(
    fireworks: Command, config: Path, at_emulator: Emulator, ending: str
) -> None:
    write_lines(Path("in.jsonl"), [question("a")])
    mine = Path(f"out.jsonl.{ending}", "mine.txt")
    mine.parent.mkdir()
    mine.write_text("mine")
    arguments: dict[str, list[object]] = {
        "run": [*BATCH_RUN, "-c", config],
        "fetch": ["batch", "results", "some-job", *BATCH_RUN[2:]],
    }
    refused = fireworks(*arguments[ending])
    assert refused.code == 2
    assert "was not made by oumi-fireworks" in refused.err
    assert mine.read_text() == "mine"
    assert at_emulator.requests == []


def test_nothing_is_left_of_an_input_that_was_a_pipe(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    content = write_lines(Path("in.jsonl"), [question("a")]).read_bytes()
    os.mkfifo("pipe")

    def with_pipe(*arguments: object) -> int:
        writer = threading.Thread(target=Path("pipe").write_bytes, args=(content,))
        writer.start()
        ended = fireworks(*arguments, "--input", "pipe", "--output", "out.jsonl")
        writer.join()
        assert ended.code == 0, ended.err
        return len(read_lines(Path("out.jsonl")))

    assert with_pipe("batch", "run", "-c", config) == 1
    assert not Path("out.jsonl.run").exists()
    Path("out.jsonl").unlink()
    assert with_pipe("batch", "results", at_emulator.jobs[0].id) == 1
    assert not Path("out.jsonl.fetch").exists()
