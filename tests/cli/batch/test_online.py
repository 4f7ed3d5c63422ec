"""``batch run --mode online``: the same rows and the same files, request by request."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import Command, question, read_lines, write_lines

CHAT = "/inference/v1/chat/completions"
FIXED = ("--remote_params.use_adaptive_concurrency", "false")
RUN = ("batch", "run", "--mode", "online")


def test_conversations_are_answered_at_once_and_no_job_is_made(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    texts = [f"Question {number}" for number in range(20)]
    write_lines(Path("in.jsonl"), [question(text) for text in texts])
    ended = fireworks(*RUN, "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert ended.code == 0, ended.err
    assert "20 rows, all answered." in ended.err
    rows = read_lines(Path("out.jsonl"))
    assert [row["messages"][0]["content"] for row in rows] == texts
    assert all(row["metadata"]["usage"] for row in rows)
    assert not at_emulator.ledger.jobs
    assert not Path("out.jsonl.run").exists()


def test_a_table_is_answered_online(fireworks: Command, config: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None, "b"]}), "in.parquet")
    ended = fireworks(
        *RUN, "-c", config, "--input", "in.parquet", "--output", "out.parquet", "--skip-bad",
        "--prompt-column", "text", "--price-in", "1", "--price-out", "1",
    )  # fmt: skip
    assert ended.code == 3, ended.err
    table = pq.read_table("out.parquet")
    assert table["outcome"].to_pylist() == ["answered", "bad row", "answered"]
    assert table["cost"].to_pylist()[0] > 0


@pytest.mark.parametrize("is_flag", [True, False], ids=["flag", "yaml"])
@pytest.mark.parametrize("option", ["deadline 6h", "then online", "key k"])
def test_what_online_runs_do_not_follow_is_refused(
    fireworks: Command, config: Path, at_emulator: Emulator, option: str, is_flag: bool
) -> None:
    write_lines(Path("in.jsonl"), [question("a")])
    name, value = option.split()
    how = f"--{name}={value}" if is_flag else f"--model.model_kwargs.fireworks.{name}={value}"
    refused = fireworks(*RUN, "-c", config, "--input", "in.jsonl", "--output", "out.jsonl", how)
    assert refused.code == 2
    assert f"{name} cannot be followed by `batch run --mode online`" in refused.err
    assert not at_emulator.requests
    assert not Path("out.jsonl.run").exists()


def test_repeats_are_asked_once_and_each_keeps_what_is_its_own(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    texts = ["a", "b", "a", "c", "a", "b"]
    rows = [
        question(f"{text} [[echo]]", conversation_id=f"c{n}", metadata={"n": n})
        for n, text in enumerate(texts)
    ]
    write_lines(Path("in.jsonl"), rows)
    run = (*RUN, "-c", config, "--input", "in.jsonl", "--output", "out.jsonl", "--overwrite")
    counted = Fault(kind="delay", path=CHAT, delay=0, times=None)
    at_emulator.faults.add(counted)
    sent = 0
    for more, expected in (
        ((), 3),
        (("--generation.temperature", "0.7"), 6),
        (("--generation.temperature", "0.7", "--dedupe", "on"), 3),
        (("--dedupe", "off"), 6),
        (("--cache", "answers"), 3),
        (("--cache", "answers"), 0),
    ):
        ended = fireworks(*run, *more)
        assert ended.code == 0, ended.err
        assert at_emulator.faults.fired(counted) - sent == expected
        sent += expected
        assert ("3 of 6 rows are repeats" in ended.err) == (expected == 3)
        found = read_lines(Path("out.jsonl"))
        assert [row["messages"][-1]["content"].split()[0] for row in found] == texts
        assert [row["conversation_id"] for row in found] == [f"c{n}" for n in range(6)]
        assert [row["metadata"]["n"] for row in found] == list(range(6))
    assert "6 of 6 rows are known to the answer cache" in ended.err


def test_repeats_share_a_failure_and_are_open_with_it(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), [question(text) for text in ("a", "b", "a")])
    run = (*RUN, "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    one_by_one = ("--remote_params.num_workers", "1", *FIXED)
    at_emulator.faults.add(Fault(path=CHAT, status=400, times=1, body={"message": "bad row"}))
    ended = fireworks(*run, *one_by_one)
    assert ended.code == 3, ended.err
    failures = read_lines(Path("out.jsonl.errors.jsonl"))
    assert [failure["index"] for failure in failures] == [0, 2]
    assert all("bad row" in failure["error"]["message"] for failure in failures)
    bounded = (*run, "--overwrite", "--price-in", "1", "--price-out", "1", "--max-cost", "0.000001")
    ended = fireworks(*bounded)
    assert ended.code == 3
    assert "3 over budget" in ended.err


def test_what_the_cache_has_answered_is_not_counted_again(fireworks: Command, config: Path) -> None:
    write_lines(Path("in.jsonl"), [question("a"), question("b")])
    run = (*RUN, "-c", config, "--input", "in.jsonl", "--cache", "answers", "--dedupe", "off")
    assert "Tokens of this call: " in fireworks(*run, "--output", "out.jsonl").err
    ended = fireworks(*run, "--output", "other.jsonl")
    assert ended.code == 0, ended.err
    assert "2 of 2 rows are known to the answer cache" in ended.err
    assert "Tokens of this call: " not in ended.err


def test_an_output_that_is_there_is_not_replaced(fireworks: Command, config: Path) -> None:
    write_lines(Path("in.jsonl"), [question("a"), question("b")])
    run = (*RUN, "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert fireworks(*run).code == 0
    before = Path("out.jsonl").read_bytes()
    refused = fireworks(*run)
    assert refused.code == 2
    assert "out.jsonl exists already" in refused.err
    assert Path("out.jsonl").read_bytes() == before


def test_a_run_goes_on_where_it_was_and_asks_for_nothing_twice(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    texts = "abcdabcd"
    write_lines(Path("in.jsonl"), [question(text) for text in texts])
    run = (*RUN, "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    slow = ("--remote_params.num_workers", "2", *FIXED)
    at_emulator.faults.add(Fault(path=CHAT, status=401, after=2, body={"message": "revoked"}))
    assert fireworks(*run, *slow).code == 1
    at_emulator.faults.clear()
    kept = Path("out.jsonl.run/results/online.jsonl")
    answered = sum("response" in line for line in read_lines(kept))
    assert answered
    with kept.open("ab") as file:
        file.write(b'{"custom_id":"request-3","resp')  # a kill left it unfinished
    other = fireworks(*run, "--generation.max_new_tokens", "7")
    assert other.code == 2
    assert "holds the unfinished rows of another model or of other parameters" in other.err
    counted = Fault(kind="delay", path=CHAT, delay=0, times=None)
    at_emulator.faults.add(counted)
    assert fireworks(*run).code == 0
    assert at_emulator.faults.fired(counted) == 4 - answered
    assert [row["messages"][0]["content"] for row in read_lines(Path("out.jsonl"))] == list(texts)
    assert not Path("out.jsonl.run").exists()


def test_a_row_that_is_refused_is_among_the_failures(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), [question("a"), question("b")])
    at_emulator.faults.add(Fault(path=CHAT, status=400, times=1, body={"message": "bad row"}))
    ended = fireworks(*RUN, "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert ended.code == 3, ended.err
    assert len(read_lines(Path("out.jsonl"))) == 1
    (failure,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert failure["error"]["code"] == "400"
    assert "bad row" in failure["error"]["message"]
    assert f"Retry:  oumi-fireworks batch retry out.jsonl -c {config} --input in.jsonl" in ended.err


def test_a_budget_holds_and_a_higher_one_goes_on(fireworks: Command, config: Path) -> None:
    write_lines(Path("in.jsonl"), [question("a"), question("b")])
    run = (
        *RUN, "-c", config, "--input", "in.jsonl", "--output", "out.jsonl",
        "--price-in", "1", "--price-out", "1",
    )  # fmt: skip
    ended = fireworks(*run, "--max-cost", "0.000001")
    assert ended.code == 3, ended.err
    kinds = [line["error"]["kind"] for line in read_lines(Path("out.jsonl.errors.jsonl"))]
    assert kinds == ["over budget"] * 2
    assert "the same command with a higher max_cost goes on" in ended.err
    assert "Tokens of this call" not in ended.err
    assert "Retry:" not in ended.err
    ended = fireworks(*run, "--max-cost", "1")
    assert ended.code == 0
    assert re.search(r"Tokens of this call: [1-9]\d* in, [1-9]\d* out: <\$0", ended.err), ended.err
    assert len(read_lines(Path("out.jsonl"))) == 2
    assert not Path("out.jsonl.run").exists()
