"""``--deadline``: on time, partly at the online price, and said so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator, Fault, Pace
from tests.cli.batch.support import Command, question, read_lines, write_lines

CHAT = "/inference/v1/chat/completions"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """One whose jobs begin, and go on for ever."""
    with Emulator(speed=2_000, pace=Pace(running=80_000_000, per_row=80_000_000)) as emulator:
        yield emulator


def test_what_is_late_runs_online_and_is_delivered_with_the_rest(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), [question(f"{name} [[echo]]") for name in "abc"])
    run = ["batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl"]
    price = ("--price-in", "1000000", "--price-out", "0")
    told = ("--events", "events.jsonl", "--report", "page.html")
    ended = fireworks(*run, *price, *told, "--deadline", "1s", "--then", "online")
    assert ended.code == 0, ended.err
    assert "The deadline of batch" in ended.err
    rows = read_lines(Path("out.jsonl"))
    paid = sum(row["metadata"]["usage"]["prompt_tokens"] for row in rows)
    assert f"Online, after the deadline: {paid:,} in" in ended.err
    assert f"out: ${paid:,}.00" in ended.err
    last = read_lines(Path("events.jsonl"))[-1]
    assert (last["tokens"]["input"], last["cost"]) == (paid, paid)
    page = " ".join(re.sub(r"<[^>]*>", " ", Path("page.html").read_text()).split())
    assert re.search(rf"Answered 3 {paid} [\d,]+ \${paid}\.00 All 3", page)
    assert re.search(rf"Of these online, after the deadline 3 {paid} [\d,]+ \${paid}\.00", page)
    texts = [row["messages"][-1]["content"][0] for row in rows]
    assert texts == ["a", "b", "c"]
    assert at_emulator.ledger.rows == 0
    assert len(at_emulator.requests_to("POST", "/chat/completions$")) == 3
    refused = fireworks(*run, "--overwrite", "--deadline", "6h", "--key", "k")
    assert refused.code == 2
    assert "Leave out one of them, deadline or key" in refused.err


def test_open_rows_of_an_output_have_the_deadline_too(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    config.write_text(config.read_text() + "      deadline: 1s\n")
    write_lines(Path("in.jsonl"), [question(f"{name} [[echo]]") for name in "ab"])
    common = ["-c", config, "--input", "in.jsonl"]
    at_emulator.faults.add(Fault(path=CHAT, status=400, times=1, body={"message": "bad row"}))
    assert fireworks("batch", "run", *common, "--output", "out.jsonl").code == 3
    ended = fireworks("batch", "retry", "out.jsonl", *common)
    assert ended.code == 0, ended.err
    assert "Online, after the deadline: " in ended.err
    assert len(read_lines(Path("out.jsonl"))) == 2
    assert at_emulator.ledger.rows == 0
