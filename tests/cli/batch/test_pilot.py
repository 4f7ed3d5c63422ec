"""``batch check --pilot``: what it tells is about true, and what it has paid for is paid once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from oumi_fireworks.batch import Request
from oumi_fireworks.cli.batch.sample import RowSample
from oumi_fireworks.cli.schemas import schema_of
from oumi_fireworks.emulator import Emulator, Fault, Pace
from tests.cli.batch.support import Command, question, read_lines, write_lines
from tests.conftest import lead_to

CHAT = "/inference/v1/chat/completions"
JOBS = "/batchInferenceJobs/"
ROWS = 40
PRICES = ("--price-in", "1", "--price-out", "1")
ACCEPT = "--model.model_kwargs.fireworks.accept={json: true}"


def arguments(*more: str) -> tuple[str, ...]:
    cache = () if "--cache" in more else ("--cache", "cache")
    return ("-c", "config.yaml", "--input", "in.jsonl", *cache, *PRICES, *more)


def sent(emulator: Emulator) -> list[str]:
    """Return the prompts that were sent online."""
    bodies = [each.body for each in emulator.requests_to("POST", CHAT)]
    return [body["messages"][-1]["content"] for body in bodies if isinstance(body, dict)]


@pytest.fixture
def rows(config: Path) -> list[str]:
    texts = [f"{'word ' * (row % 7)}question {row} [[echo]]" for row in range(ROWS)]
    write_lines(Path("in.jsonl"), [question(text) for text in texts])
    return texts


def pilot(fireworks: Command, *more: str, code: int = 0) -> dict[str, Any]:
    rows = () if "--pilot" in more else ("--pilot", "12")
    ended = fireworks("batch", "check", *arguments(*rows, "--json", *more))
    assert ended.code == code, ended.err
    printed = json.loads(ended.out)
    jsonschema.validate(printed, schema_of("batch-check"))
    found: dict[str, Any] = printed["pilot"]
    return found


def test_a_pilot_foretells_the_batch_which_does_not_pay_for_its_rows_again(
    fireworks: Command, at_emulator: Emulator, rows: list[str]
) -> None:
    found = pilot(fireworks)
    assert (found["rows"], found["answered"], found["left"]) == (12, 12, ROWS - 12)
    assert found["cost"] > 0
    asked = sent(at_emulator)
    assert len(set(asked)) == 12
    assert asked != rows[:12]
    ended = fireworks("batch", "run", *arguments("--output", "out.jsonl"))
    assert ended.code == 0, ended.err
    ledger = at_emulator.ledger
    assert ledger.rows == found["left"]
    assert sent(at_emulator) == asked
    for name, true in (("input", ledger.input_tokens), ("output", ledger.output_tokens)):
        spread = found[f"{name}_tokens"]
        assert spread["low"] <= true <= spread["high"]
    sources = [row["metadata"].get("answered_by") for row in read_lines(Path("out.jsonl"))]
    assert sources.count("cache") == 12


def test_as_a_batch_it_costs_half_and_foretells_the_same(
    fireworks: Command, at_emulator: Emulator, rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("home").absolute()))
    as_batch = pilot(fireworks, "--pilot-mode", "batch")
    assert (as_batch["mode"], as_batch["answered"], as_batch["left"]) == ("batch", 12, ROWS - 12)
    assert as_batch["cost"] > 0
    assert not sent(at_emulator)
    assert at_emulator.ledger.rows == 12
    for again in (pilot(fireworks, "--pilot-mode", "batch"), pilot(fireworks)):
        assert (again["from_cache"], again["answered"], again["cost"]) == (12, 0, 0)
        assert again["output_tokens"] == as_batch["output_tokens"]
    ended = fireworks("batch", "run", *arguments("--output", "out.jsonl"))
    assert ended.code == 0, ended.err
    assert at_emulator.ledger.rows == ROWS
    assert len(at_emulator.jobs) == 2
    assert not list(Path("home").rglob("run.json"))
    assert len(read_lines(Path("out.jsonl"))) == ROWS


def test_a_batch_pilot_notes_what_fails_and_keeps_to_max_cost(
    fireworks: Command, at_emulator: Emulator, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("home").absolute()))
    texts = ['a [[reply {"a": 1}]]', 'b [[reply {"a": 2}]]', "no json", "[[fail 400]]"]
    write_lines(Path("in.jsonl"), [question(text) for text in texts])
    none = pilot(fireworks, ACCEPT, "--pilot-mode", "batch", "--max-cost", "0.1", code=3)
    assert (none["answered"], none["rejected"], none["failed"]) == (2, 1, 1)
    assert 0 < none["cost"] <= 0.1
    refused = fireworks("batch", "check", *arguments("--pilot-mode", "batch"))
    assert refused.code == 2
    assert "say --pilot N as well" in refused.err
    assert fireworks("batch", "check", *arguments("--pilot-retry")).code == 2


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator whose jobs take two hours of its own clock."""
    with Emulator(speed=1, pace=Pace(running=7200, per_row=0)) as emulator:
        lead_to(emulator, monkeypatch)
        yield emulator


def interrupt_pilot(slow: Emulator, rows: int) -> str:
    """Begin a pilot as a batch, and press Ctrl-C once its job is there; return what it says."""
    command = Path(sys.executable).with_name("oumi-fireworks")
    mode = ("--pilot", str(rows), "--pilot-mode", "batch")
    process = subprocess.Popen(
        [command, "batch", "check", *arguments(*mode)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env={**os.environ, "DO_NOT_TRACK": "1"},
    )
    try:
        while not slow.jobs:
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(process.wait(0.05))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130, said
    return " ".join(said.split())


def test_an_interrupted_batch_pilot_goes_on_with_its_job_whatever_number_is_asked_for(
    fireworks: Command, rows: list[str], slow: Emulator
) -> None:
    assert "Run the same again to wait for it" in interrupt_pilot(slow, 12)
    refused = fireworks("batch", "check", *arguments("--pilot", "9"))
    assert refused.code == 2
    assert "with --pilot-mode batch the same command waits for it" in " ".join(refused.err.split())
    slow.clock.advance(36_000)
    fewer = pilot(fireworks, "--pilot-mode", "batch", "--pilot", "5")
    assert (fewer["rows"], fewer["answered"], fewer["left"]) == (5, 5, ROWS - 12)
    assert slow.ledger.rows == 12
    same = pilot(fireworks, "--pilot-mode", "batch")
    assert (same["from_cache"], same["answered"], same["cost"], same["left"]) == (
        12,
        0,
        0,
        ROWS - 12,
    )
    assert len(slow.jobs) == 1
    assert not list(Path("cache").rglob("run.json"))


def leave_pilot(fireworks: Command, emulator: Emulator, rows: int) -> None:
    """Begin a pilot as a batch, which ends as soon as its job is there."""
    look = Fault(method="GET", path=JOBS, status=403, times=None)
    emulator.faults.add(look)
    left = fireworks(
        "batch", "check", *arguments("--pilot", str(rows), "--pilot-mode", "batch", "--json")
    )
    assert left.code == 1, left.err
    assert len(emulator.jobs) == 1
    emulator.faults.clear()


def test_a_larger_batch_pilot_sends_what_the_earlier_one_has_not(
    fireworks: Command, rows: list[str], at_emulator: Emulator
) -> None:
    leave_pilot(fireworks, at_emulator, 12)
    more = pilot(fireworks, "--pilot-mode", "batch", "--pilot", "20")
    assert (more["rows"], more["answered"], more["left"]) == (20, 20, ROWS - 20)
    assert [job.rows for job in at_emulator.ledger.jobs] == [12, 8]
    assert at_emulator.ledger.rows == 20
    assert not list(Path("cache").rglob("run.json"))


def test_a_run_says_that_rows_of_a_pilot_may_be_under_way(
    fireworks: Command, rows: list[str], at_emulator: Emulator
) -> None:
    run = ("batch", "run", *arguments("--output", "out.jsonl"))
    leave_pilot(fireworks, at_emulator, 12)
    warned = fireworks(*run)
    assert warned.code == 0, warned.err
    assert "are paid for twice, unless that pilot ends first" in " ".join(warned.err.split())
    pilot(fireworks, "--pilot-mode", "batch")
    assert "paid for twice" not in " ".join(fireworks(*run, "--overwrite").err.split())


def test_the_bound_of_a_call_holds_over_the_batches_that_it_goes_on_with(
    fireworks: Command, rows: list[str], at_emulator: Emulator
) -> None:
    leave_pilot(fireworks, at_emulator, 12)
    bound = ("--max-cost", "0.001", "--pilot-mode", "batch", "--pilot", "20")
    found = pilot(fireworks, *bound, code=3)
    assert (found["answered"], found["over_budget"]) == (12, 8)
    assert found["cost"] <= 0.001
    assert at_emulator.ledger.rows == 12


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_a_pilot_whose_rows_all_fail_says_why_and_is_not_paid_again(
    fireworks: Command, at_emulator: Emulator, config: Path, mode: str
) -> None:
    write_lines(Path("in.jsonl"), [question(f"{row} [[fail 400]]") for row in range(20)])
    more = ("--pilot-mode", mode)

    def requests() -> int:
        return at_emulator.ledger.rows + len(sent(at_emulator))

    found = pilot(fireworks, *more, code=1)
    assert (found["failed"], found["remembered"], requests()) == (12, 0, 12)
    assert found["output_tokens"] is found["batch_cost"] is None
    (reason,) = found["failures"]
    assert reason.startswith("12 × ")
    again = pilot(fireworks, *more, code=1)
    assert (again["failed"], again["remembered"], requests()) == (12, 12, 12)
    assert again["failures"] == found["failures"]
    ended = fireworks("batch", "check", *arguments("--pilot", "12", *more))
    said = " ".join(ended.out.split())
    assert "Ready to be sent" not in said
    assert reason[:40] in said
    assert "Forecast none: no row of the pilot has an answer" in said
    assert "No row of the pilot has an answer, and a run would end alike" in said
    assert "--pilot-retry asks again" in said
    once_more = pilot(fireworks, *more, "--pilot-retry", code=1)
    assert (once_more["failed"], once_more["remembered"], requests()) == (12, 0, 24)


def test_failures_that_may_pass_are_asked_for_again(
    fireworks: Command, at_emulator: Emulator, config: Path
) -> None:
    write_lines(Path("in.jsonl"), [question(f"{row} [[fail 500]]") for row in range(4)])
    more = ("--pilot-mode", "batch")
    assert pilot(fireworks, *more, code=1)["remembered"] == 0
    assert pilot(fireworks, *more, code=1)["remembered"] == 0
    assert at_emulator.ledger.rows == 8


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_a_rejected_answer_is_judged_by_the_rules_of_the_day(
    fireworks: Command, at_emulator: Emulator, config: Path, mode: str
) -> None:
    write_lines(Path("in.jsonl"), [question(f"{row} is no json [[echo]]") for row in range(4)])
    more = ("--pilot-mode", mode)
    strict = pilot(fireworks, ACCEPT, *more, code=3)
    assert (strict["rejected"], strict["remembered"]) == (4, 0)
    assert strict["output_tokens"] is not None
    again = pilot(fireworks, ACCEPT, *more, code=3)
    assert (again["rejected"], again["remembered"], again["cost"]) == (4, 4, 0)
    lax = pilot(fireworks, *more)
    assert (lax["answered"], lax["cost"], lax["left"]) == (4, 0, 0)
    assert at_emulator.ledger.rows + len(sent(at_emulator)) == 4


def test_online_the_run_that_follows_sends_each_row_once(
    fireworks: Command, at_emulator: Emulator, rows: list[str]
) -> None:
    pilot(fireworks)
    ended = fireworks("batch", "run", "--mode", "online", *arguments("--output", "out.jsonl"))
    assert ended.code == 0, ended.err
    assert f"12 of {ROWS} rows are known to the answer cache." in ended.err
    assert sorted(sent(at_emulator)) == sorted(rows)
    assert len(read_lines(Path("out.jsonl"))) == ROWS
    again = fireworks("batch", "run", "--mode", "online", *arguments("--output", "new.jsonl"))
    assert again.code == 0, again.err
    assert len(sent(at_emulator)) == ROWS
    assert not at_emulator.jobs


def test_the_same_command_draws_the_same_rows_and_sends_nothing(
    fireworks: Command, at_emulator: Emulator, rows: list[str]
) -> None:
    first, second = pilot(fireworks), pilot(fireworks)
    assert len(sent(at_emulator)) == 12
    assert (second["from_cache"], second["answered"], second["cost"]) == (12, 0, 0)
    names = [name for name in first if name.endswith(("_tokens", "_cost"))]
    assert len(names) == 5
    assert {name: first[name] for name in names} == {name: second[name] for name in names}
    shown = " ".join(fireworks("batch", "check", *arguments("--pilot", "12")).out.split())
    assert "12 rows: 12 known to the answer cache" in shown
    assert "with --cache cache the run does not pay for them" in shown
    assert "tokens in" in shown
    assert "as a batch about $0.00" in shown
    assert "--pilot 200" in fireworks("batch", "check", *arguments()).out


def test_rejected_and_failed_answers_are_not_kept(
    fireworks: Command, at_emulator: Emulator, config: Path
) -> None:
    texts = ['a [[reply {"a": 1}]]', 'b [[reply {"a": 2}]]', "no json", "[[fail 400]]"]
    write_lines(Path("in.jsonl"), [question(text) for text in texts])
    found = pilot(fireworks, ACCEPT, code=3)
    assert (found["answered"], found["rejected"], found["failed"]) == (2, 1, 1)
    assert found["left"] == 2
    assert json.loads(fireworks("cache", "stats", "cache", "--json").out)["answers"] == 2
    again = pilot(fireworks, ACCEPT, code=3)
    assert (again["from_cache"], again["rejected"], again["failed"]) == (2, 1, 1)
    assert len(sent(at_emulator)) == 4


def test_a_pilot_keeps_to_max_cost(fireworks: Command, at_emulator: Emulator, config: Path) -> None:
    texts = [f"{'word ' * 200}{row} [[echo]]" for row in range(ROWS)]
    write_lines(Path("in.jsonl"), [question(text) for text in texts])
    limit = ("--generation.max_new_tokens", "100")
    found = pilot(fireworks, *limit, "--max-cost", "0.003", code=3)
    assert found["over_budget"] > 0
    assert 0 < found["answered"] == len(sent(at_emulator)) < 12
    assert 0 < found["cost"] <= 0.003
    none = pilot(fireworks, *limit, "--max-cost", "0.000001", "--cache", "other", code=3)
    assert (none["over_budget"], none["cost"], none["input_tokens"]) == (12, 0, None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "Name a folder with --cache DIR, here and for `batch run`"),
        (
            ("--cache", "cache", "--model.model_kwargs.fireworks.key=etl"),
            "With a key a batch sends all its rows",
        ),
        (("--cache", "cache", "--pilot", "1"), "--pilot"),
    ],
)
def test_what_would_pay_twice_is_wrong_use(
    fireworks: Command, at_emulator: Emulator, rows: list[str], more: tuple[str, ...], said: str
) -> None:
    check = ("batch", "check", "-c", "config.yaml", "--input", "in.jsonl", "--pilot", "5", *more)
    ended = fireworks(*check)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not at_emulator.requests


def test_nothing_is_paid_where_a_line_is_bad(
    fireworks: Command, at_emulator: Emulator, rows: list[str]
) -> None:
    with Path("in.jsonl").open("a") as file:
        file.write("{}\n")
    ended = fireworks("batch", "check", *arguments("--pilot", "5"))
    assert ended.code == 1
    assert "1 line cannot be sent" in ended.out
    assert not at_emulator.requests


def test_an_interruption_loses_no_answer(
    fireworks: Command, at_emulator: Emulator, rows: list[str]
) -> None:
    stall = Fault(kind="stall", path=CHAT, after=4, times=None, delay=None)
    at_emulator.faults.add(stall)
    command = Path(sys.executable).with_name("oumi-fireworks")
    process = subprocess.Popen(
        [command, "batch", "check", *arguments("--pilot", "12")],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env={**os.environ, "DO_NOT_TRACK": "1"},
    )
    try:
        while len(sent(at_emulator)) < 4 or not at_emulator.faults.fired(stall):
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(process.wait(0.05))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130
    assert "of the pilot are kept in cache: the same command goes on" in " ".join(said.split())
    at_emulator.faults.clear()
    kept = json.loads(fireworks("cache", "stats", "cache", "--json").out)["answers"]
    assert kept >= 3
    assert pilot(fireworks)["from_cache"] == kept


def test_a_sample_is_drawn_by_content_alone() -> None:
    requests = [
        Request(row, {"messages": [{"role": "user", "content": str(row % 500)}]})
        for row in range(1000)
    ]

    def drawn(rows: list[Request], size: int) -> set[int]:
        sample = RowSample(size, "model")
        for row in rows:
            sample.offer(row)
        return {row % 500 for row in sample.keys}

    chosen = drawn(requests, 50)
    assert len(chosen) == 50
    assert drawn(requests[::-1], 50) == chosen
    assert drawn(requests, 20) < chosen
    assert drawn(requests, 5000) == set(range(500))
    assert 150 < sum(chosen) / 50 < 350
