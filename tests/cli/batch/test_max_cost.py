"""``--max-cost``: what fits is run and delivered, the rest is over budget, and more goes on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import Command, question, read_lines, write_lines

ROWS = 6
LONG = "word " * 500
PRICES = ("--price-in", "1000000", "--price-out", "1000000")
"""A dollar a token."""
ARGUMENTS = (
    "--input", "in.jsonl", "--output", "out.jsonl", *PRICES,
    "--generation.max_new_tokens", "1000", "--model.model_kwargs.fireworks.max_shard_rows=2",
)  # fmt: skip


@pytest.fixture
def rows() -> Path:
    return write_lines(Path("in.jsonl"), [question(f"{LONG}{row} [[echo]]") for row in range(ROWS)])


def billed(emulator: Emulator) -> int:
    return emulator.ledger.input_tokens + emulator.ledger.output_tokens


def test_what_fits_is_delivered_the_rest_is_over_budget_and_more_goes_on(
    fireworks: Command, config: Path, at_emulator: Emulator, rows: Path
) -> None:
    run = ("batch", "run", "-c", config, *ARGUMENTS)
    ended = fireworks(*run, "--max-cost", "6000")
    assert ended.code == 3, ended.err
    assert 0 < billed(at_emulator) <= 6000
    assert "6 rows: 2 answered, 4 over budget." in ended.err
    assert "max_cost is $6,000.00, and no open row may begin under it." in ended.err
    assert "The run is kept: the same command goes on" in ended.err
    assert len(read_lines(Path("out.jsonl"))) == 2
    errors = read_lines(Path("out.jsonl.errors.jsonl"))
    assert [error["index"] for error in errors] == [2, 3, 4, 5]
    assert {error["error"]["kind"] for error in errors} == {"over budget"}
    before = billed(at_emulator)
    assert fireworks(*run, "--max-cost", "6000").code == 3
    assert billed(at_emulator) == before
    ended = fireworks(*run, "--max-cost", "100000")
    assert ended.code == 0, ended.err
    assert len(read_lines(Path("out.jsonl"))) == ROWS
    assert not Path("out.jsonl.errors.jsonl").exists()
    assert at_emulator.ledger.rows == ROWS


def test_a_raised_bound_begins_with_larger_jobs_where_the_run_is_ended_and_retried(
    fireworks: Command, config: Path, at_emulator: Emulator, rows: Path
) -> None:
    shards = "--model.model_kwargs.fireworks.max_shard_rows=null"
    run = ("batch", "run", "-c", config, *ARGUMENTS, shards)
    assert fireworks(*run, "--max-cost", "4000").code == 3
    small = len(at_emulator.jobs)
    assert at_emulator.ledger.rows == small  # a row is more than a twentieth of the bound
    shutil.rmtree("out.jsonl.run")
    retry = ("batch", "retry", "out.jsonl", "-c", config, "--input", rows, *PRICES, shards)
    ended = fireworks(*retry, "--generation.max_new_tokens", "1000", "--max-cost", "1000000")
    assert ended.code == 0, ended.err
    assert len(at_emulator.jobs) == small + 1
    assert at_emulator.ledger.rows == ROWS
    assert len(read_lines(Path("out.jsonl"))) == ROWS


def test_a_retry_tells_its_cost_and_that_its_bound_is_reached(
    fireworks: Command, config: Path, at_emulator: Emulator, rows: Path
) -> None:
    batch = fireworks("batch", "submit", "-c", config, "--input", rows).out.strip()
    at_emulator.set_job(batch, "JOB_STATE_EXPIRED", rows=2)
    files = ("--input", rows, "--output", "out.jsonl")
    assert fireworks("batch", "results", batch, *files).code == 3
    ended = fireworks(
        "batch", "retry", "out.jsonl", "-c", config, "--input", rows, *PRICES,
        "--generation.max_new_tokens", "1000", "--model.model_kwargs.fireworks.max_shard_rows=2",
        "--max-cost", "6000", "--events", "events.jsonl",
    )  # fmt: skip
    assert ended.code == 3, ended.err
    assert "2 answered, 2 over budget." in ended.err
    assert re.search(r"Completed, .* elapsed, \$1,257\.00$", ended.err, re.MULTILINE), ended.err
    (cap,) = [each for each in read_lines(Path("events.jsonl")) if each["event"] == "cap_reached"]
    assert cap["rows"] == 2


def test_a_small_bound_is_told_with_its_digits_and_what_is_left_is_not_rounded_up(
    fireworks: Command, config: Path, rows: Path
) -> None:
    cheap = ("--price-in", "0.1", "--price-out", "0.1", "--max-cost", "0.0125")
    others = (*ARGUMENTS[:4], *ARGUMENTS[4 + len(PRICES) :])
    ended = fireworks("batch", "run", "-c", config, *others, *cheap)
    assert ended.code == 0, ended.err
    told = re.search(r"Of max_cost, \$0\.0125, at least \$(0\.\d{4}) is left", ended.err)
    assert told is not None, ended.err
    assert 0 < float(told[1]) < 0.0125


def test_too_little_for_any_job_sends_nothing(
    fireworks: Command, config: Path, at_emulator: Emulator, rows: Path
) -> None:
    ended = fireworks("batch", "run", "-c", config, *ARGUMENTS, "--max-cost", "5")
    assert ended.code == 3
    assert "Nothing was sent. Raise max_cost, or lower max_new_tokens." in ended.err
    assert not at_emulator.jobs
    assert not Path("out.jsonl").exists()


def test_a_model_without_a_price_is_refused_with_the_way_out(
    fireworks: Command, config: Path, at_emulator: Emulator, rows: Path
) -> None:
    ended = fireworks(
        "batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl",
        "--max-cost", "5", "--model.model_name=accounts/fireworks/models/toy-chat",
    )  # fmt: skip
    assert ended.code == 2
    assert "no known price of accounts/fireworks/models/toy-chat" in ended.err
    assert "price: {input: 0.10, output: 0.40}" in ended.err
    assert not at_emulator.requests


def test_a_submission_has_to_fit_as_a_whole(
    fireworks: Command, config: Path, at_emulator: Emulator, rows: Path
) -> None:
    price = "--model.model_kwargs.fireworks.price={input: 1000000, output: 1000000}"
    submit = ("batch", "submit", "-c", config, "--input", "in.jsonl", price)
    ended = fireworks(*submit, "--max-cost", "6000")
    assert ended.code == 3
    assert "All of it may cost" in ended.err
    assert not at_emulator.jobs
    assert fireworks(*submit, "--max-cost", "100000").code == 0


@pytest.mark.parametrize(
    ("bound", "more", "said", "at_once"),
    [
        ("1000000", (), "it fits max_cost, $1,000,000.00", (3, 6)),
        ("20000", (), "before all rows are sent; 5 of 6 jobs (5 rows) can begin", (5, 5)),
        ("3000", (), "max_cost is $3,000.00: not one job can begin, and nothing is sent", (0, 0)),
        ("20000", ("--model.model_kwargs.fireworks.key=k",), "with a key all of it has to", (0, 0)),
    ],
)
def test_check_says_what_a_bound_allows_at_the_worst(
    fireworks: Command,
    config: Path,
    rows: Path,
    bound: str,
    more: tuple[str, ...],
    said: str,
    at_once: tuple[int, int],
) -> None:
    check = ("batch", "check", "-c", config, *ARGUMENTS[:2], *ARGUMENTS[4:], *more)
    check = (*check, "--max-cost", bound)
    told = " ".join(fireworks(*check).out.split())
    assert said in told
    assert "which few need" not in told
    budget = json.loads(fireworks(*check, "--json").out)["budget"]
    assert (budget["jobs_at_once"], budget["rows_at_once"]) == at_once
    assert budget["fits"] is (at_once == (3, 6))


def test_check_points_out_a_worst_that_is_absurd(
    fireworks: Command, config: Path, rows: Path
) -> None:
    huge = ("--generation.max_new_tokens", "100000")
    check = ("batch", "check", "-c", config, "--input", "in.jsonl", *PRICES, *huge)
    told = " ".join(fireworks(*check, "--max-cost", "300000").out.split())
    assert "max_new_tokens lets an answer have 100,000 tokens, which few need" in told
    measured = fireworks(*check, "--max-cost", "300000", "--pilot", "2", "--cache", "answers")
    told = " ".join(measured.out.split())
    assert re.search(r"The worst is \d+ times what the pilot expects", told), told
    assert "which few need" not in told
