"""``batch run --mode online`` with answers that do not hold: rows are asked for again at once."""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from tests.batch.nursery import Nursery
from tests.cli.batch.support import CONFIG, Command, question, read_lines, write_lines

CHAT = "/chat/completions$"
TEMPERATURES = [0.0, 0.2, 0.4]
"""Of the first request for a row, and of those that follow."""
RUN = ("batch", "run", "--mode", "online", "-c", "c.yaml", "--input", "in.jsonl")
TO = ("--output", "out.jsonl")
WARMER = "on_reject: {temperature: +0.2, attempts: 2}"
GOOD = '[[reply {"ok": true}]]'


def configured(again: str = WARMER, more: str = "") -> None:
    Path("c.yaml").write_text(f"{CONFIG}      accept: {{json: true{more}}}\n      {again}\n")


def rows(*bad: int) -> None:
    """Write questions, of which so many answers are bad at first."""
    texts = [f"Number {row}: [[bad {times}]]{GOOD}" for row, times in enumerate(bad)]
    write_lines(Path("in.jsonl"), [question(text) for text in texts])


def taken(emulator: Emulator, since: int = 0) -> dict[str, list[float]]:
    """Return the temperatures with which each row was asked for and answered.

    Args:
        emulator: Whom they were asked of.
        since: Requests before these.
    """
    found = defaultdict(list)
    for each in emulator.requests_to("POST", CHAT)[since:]:
        if each.status == 200:
            text = each.body["messages"][0]["content"]
            found[text.partition(":")[0]].append(each.body["temperature"])
    return found


def test_a_rejected_row_is_asked_for_again_until_it_holds(
    fireworks: Command, at_emulator: Emulator
) -> None:
    configured()
    rows(0, 1, 2, 9)
    ended = fireworks(*RUN, *TO, "--price-in", "1", "--price-out", "1")
    assert ended.code == 3, ended.err
    assert "4 rows: 3 answered, 1 rejected." in ended.err
    assert "Rejected on the way: 6 answers" in ended.err
    assert taken(at_emulator) == {
        "Number 0": [0.0], "Number 1": [0.0, 0.2],
        "Number 2": [0.0, 0.2, 0.4], "Number 3": [0.0, 0.2, 0.4],
    }  # fmt: skip
    assert [row["messages"][-1]["content"] for row in read_lines(Path("out.jsonl"))] == [
        '{"ok": true}'
    ] * 3
    (line,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert (line["index"], line["rejected"], line["error"]["kind"]) == (3, 3, "no JSON")
    billed = at_emulator.ledger.online
    assert f"Tokens of this call: {billed.input_tokens} in, {billed.output_tokens} out" in ended.err
    assert not Path("out.jsonl.run").exists()


def test_the_best_answer_is_kept_and_each_request_differs(
    fireworks: Command, at_emulator: Emulator
) -> None:
    configured("on_reject: {max_new_tokens: x2, repair: 1, attempts: 2}", ", keep: true")
    write_lines(Path("in.jsonl"), [question('[[bad 1 {"half": ]]')])
    ended = fireworks(*RUN, *TO, "--generation.max_new_tokens", "100")
    assert ended.code == 0, ended.err
    assert "1 rejected and kept, marked" in ended.err
    asked = [each.body for each in at_emulator.requests_to("POST", CHAT)]
    assert [body["max_tokens"] for body in asked] == [100, 200, 400]
    assert [len(body["messages"]) for body in asked] == [1, 3, 1]
    (row,) = read_lines(Path("out.jsonl"))
    assert row["metadata"]["rejected"]["times"] == 3


def test_a_run_that_stopped_goes_on_with_the_next_attempt(
    fireworks: Command, at_emulator: Emulator
) -> None:
    configured()
    # One row: another one's request, under way when the run stops, may reach the emulator later.
    rows(2)
    at_emulator.faults.add(Fault("POST", CHAT, status=401, after=2))
    assert fireworks(*RUN, *TO).code == 1
    wanted = unrecorded(3)
    before = len(at_emulator.requests_to("POST", CHAT))
    ended = fireworks(*RUN, *TO)
    assert ended.code == 0, ended.err
    assert taken(at_emulator, before) == wanted


def test_a_failure_after_a_rejected_answer_leaves_that_one(
    fireworks: Command, at_emulator: Emulator
) -> None:
    configured()
    rows(9)
    at_emulator.faults.add(Fault("POST", CHAT, status=400, after=1, times=None))
    assert fireworks(*RUN, *TO).code == 3
    (line,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert (line["rejected"], line["answer"]["content"]) == (1, "This is not what was asked for.")


def test_repeats_of_a_rejected_row_get_its_outcome_and_are_not_sent(
    fireworks: Command, at_emulator: Emulator
) -> None:
    configured()
    same, never = question(f"Number 0: [[bad 1]]{GOOD}"), question("Number 1: [[bad 9]]")
    write_lines(Path("in.jsonl"), [same, same, never, never])
    ended = fireworks(*RUN, *TO, "--cache", "answers")
    assert ended.code == 3, ended.err
    assert len(read_lines(Path("out.jsonl"))) == 2
    assert [row["index"] for row in read_lines(Path("out.jsonl.errors.jsonl"))] == [2, 3]
    assert taken(at_emulator) == {"Number 0": [0.0, 0.2], "Number 1": [0.0, 0.2, 0.4]}
    write_lines(Path("in.jsonl"), [same])
    assert fireworks(*RUN, "--output", "again.jsonl", "--cache", "answers").code == 0
    assert len(taken(at_emulator)["Number 0"]) == 2  # the answer that held is in the cache


def test_a_further_attempt_has_to_fit_into_the_budget(
    fireworks: Command, at_emulator: Emulator
) -> None:
    configured()
    rows(1)
    answer = ("--price-in", "0", "--price-out", "10000", "--generation.max_new_tokens", "100")
    ended = fireworks(*RUN, *TO, *answer, "--max-cost", "1.05")  # one at its worst costs 1
    assert ended.code == 3, ended.err
    assert "1 rejected" in ended.err
    assert "the same command with a higher max_cost goes on" in ended.err
    ended = fireworks(*RUN, *TO, *answer, "--max-cost", "5")
    assert ended.code == 0, ended.err
    assert taken(at_emulator) == {"Number 0": [0.0, 0.2]}


@pytest.mark.parametrize(
    ("number", "moment"), [(1, "after"), (3, "before"), (4, "after"), (6, "before")]
)
def test_killed_at_any_answer_it_goes_on_and_asks_nothing_twice(
    nursery: Nursery, at_emulator: Emulator, number: int, moment: str
) -> None:
    configured()
    rows(2, 0, 2)
    order: dict[str, Any] = {
        "arguments": [*RUN, *TO],
        "folder": str(Path.cwd()),
        "env": dict(at_emulator.env),
    }
    nursery.start({**order, "die_at": ["result_file.py", "note", number, moment]})
    assert nursery.wait() == (-signal.SIGKILL, {})
    wanted = unrecorded(3, 1, 3)
    before = len(at_emulator.requests_to("POST", CHAT))
    nursery.start(order)
    assert nursery.wait() == (0, {}), Path("said").read_text()
    assert len(read_lines(Path("out.jsonl"))) == 3
    # An answer that was lost with the process counts at the emulator, which gives the next one.
    found = taken(at_emulator, before)
    assert found.keys() == wanted.keys()
    for row, temperatures in found.items():
        assert temperatures == wanted[row][: len(temperatures)]


def unrecorded(*attempts: int) -> dict[str, list[float]]:
    """Return the temperatures of the attempts at each row that an ended process has not recorded.

    Args:
        attempts: How many attempts each row takes.
    """
    known: Counter[int] = Counter()
    for file in Path("out.jsonl.run/results").glob("online*.jsonl"):
        lines = (line for line in read_lines(file) if "response" in line)
        known.update(int(line["custom_id"].split("-")[1]) for line in lines)
    assert sum(known.values()) < sum(attempts)
    return {
        f"Number {row}": TEMPERATURES[known[row] : count]
        for row, count in enumerate(attempts)
        if known[row] < count
    }
