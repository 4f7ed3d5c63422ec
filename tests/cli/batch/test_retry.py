"""``batch retry``: only what is open is run again, and comes to its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import Command, question, read_lines, submit, write_lines

TEXTS = ["zero", "one", "two", "three", "four"]
FIELDS = {"three": {"conversation_id": "three", "label": "kept"}}


@pytest.fixture
def expired(fireworks: Command, config: Path, at_emulator: Emulator) -> str:
    """A batch that has expired after three of its rows; a line of its input was left out."""
    rows = [question(text, **FIELDS.get(text, {})) for text in TEXTS]
    write_lines(Path("in.jsonl"), [*rows[:2], b"{", *rows[2:]])
    submitted = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl", "--skip-bad")
    batch = str(submitted.out.strip())
    at_emulator.set_job(batch, "JOB_STATE_EXPIRED", rows=3)
    return batch


@pytest.fixture
def incomplete(fireworks: Command, expired: str) -> Path:
    """An output in which some rows are open."""
    ended = fireworks("batch", "results", expired, "--input", "in.jsonl", "--output", "out.jsonl")
    assert ended.code == 3, ended.err
    assert len(read_lines(Path("out.jsonl"))) == 3
    return Path("out.jsonl")


def texts(path: Path) -> list[str]:
    return [row["messages"][0]["content"] for row in read_lines(path)]


def retry(fireworks: Command, config: Path, subject: object, *more: object) -> Any:
    return fireworks("batch", "retry", subject, "-c", config, "--input", "in.jsonl", *more)


def test_the_open_rows_of_an_output_are_put_into_it(
    fireworks: Command, config: Path, at_emulator: Emulator, incomplete: Path
) -> None:
    before = {row["conversation_id"] for row in read_lines(incomplete)}
    failed = [row["conversation_id"] for row in read_lines(Path("out.jsonl.errors.jsonl"))]
    ended = retry(fireworks, config, incomplete, "--json")
    assert ended.code == 0, ended.err
    assert texts(incomplete) == TEXTS
    rows = read_lines(incomplete)
    assert all(TEXTS[index] in rows[index]["messages"][1]["content"] for index in range(5))
    assert {row["conversation_id"] for row in rows} == before | set(filter(None, failed))
    assert rows[3]["label"] == "kept"
    (left_out,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert (left_out["index"], left_out["line"]) == (None, 3)
    assert [job.rows for job in at_emulator.jobs] == [5, 2]
    told = json.loads(ended.out)
    assert (told["answered"], told["open"]) == (2, 0)
    assert told["batches"] == [at_emulator.jobs[1].id]
    assert not list(Path().glob("*.run"))
    again = retry(fireworks, config, incomplete)
    assert again.code == 0
    assert "No row of out.jsonl is open." in again.err
    assert len(at_emulator.jobs) == 2


def test_what_stays_open_stays_in_the_errors_with_its_index(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), [question("a"), question("b [[fail]]"), question("c [[fail]]")])
    arguments = ["-c", config, "--model.model_kwargs.fireworks.row_retries=0"]
    run = fireworks("batch", "run", "--input", "in.jsonl", "--output", "out.jsonl", *arguments)
    ended = retry(fireworks, config, "out.jsonl", *arguments[2:])
    assert (run.code, ended.code) == (3, 3)
    assert "oumi-fireworks batch retry out.jsonl -c " in run.err
    assert "2 rows: 0 answered, 2 failed." in ended.err
    assert "rows 1, 2)" in ended.err  # where they stand in the output
    assert texts(Path("out.jsonl")) == ["a"]
    assert [row["index"] for row in read_lines(Path("out.jsonl.errors.jsonl"))] == [1, 2]


def test_an_output_of_another_input_is_refused(
    fireworks: Command, config: Path, at_emulator: Emulator, incomplete: Path
) -> None:
    content = incomplete.read_bytes()
    write_lines(Path("in.jsonl"), [question(text) for text in [*TEXTS[:2], *TEXTS[:1:-1]]])
    ended = retry(fireworks, config, incomplete)
    assert ended.code == 2
    assert "out.jsonl is not of this input" in ended.err
    assert incomplete.read_bytes() == content
    assert len(at_emulator.jobs) == 1
    assert not list(Path().glob("*.run"))


def test_a_retry_that_fails_goes_on_without_another_job(
    fireworks: Command, config: Path, at_emulator: Emulator, incomplete: Path
) -> None:
    at_emulator.faults.add(
        Fault(method="GET", path="getDownloadEndpoint", kind="status", status=403)
    )
    stopped = retry(fireworks, config, incomplete)
    assert stopped.code == 1
    assert len(texts(incomplete)) == 3
    assert retry(fireworks, config, incomplete).code == 0
    assert texts(incomplete) == TEXTS
    assert len(at_emulator.jobs) == 2


def test_the_open_rows_of_a_batch_are_a_further_batch(
    fireworks: Command, config: Path, at_emulator: Emulator, expired: str
) -> None:
    running = submit(at_emulator, ["a"])
    at_emulator.set_job(running, "JOB_STATE_RUNNING")
    assert "has not ended yet" in retry(fireworks, config, running).err
    retried = retry(fireworks, config, expired, "--model.model_kwargs.fireworks.run_dir=new/runs")
    assert retried.code == 0, retried.err
    further = retried.out.strip()
    assert further == f"{expired}-r1"
    other = retry(fireworks, config, expired, "--generation.max_new_tokens=5")
    assert other.code == 2  # as for other settings of a run or a key
    assert f"{further} exists and is another one" in other.err
    at_emulator.clock.advance(3600)
    done = fireworks("batch", "results", expired, further, "-i", "in.jsonl", "-o", "out.jsonl")
    assert done.code == 3, done.err  # a line was left out
    assert texts(Path("out.jsonl")) == TEXTS
    nothing = retry(fireworks, config, expired, "--after", further)
    assert nothing.code == 1
    assert "Every row" in nothing.err


@pytest.mark.parametrize("subject", ["nowhere.jsonl", "Not an id"])
def test_a_subject_that_is_nothing_is_wrong_use(
    fireworks: Command, config: Path, at_emulator: Emulator, subject: str
) -> None:
    ended = retry(fireworks, config, subject)
    assert ended.code == 2
    assert f"There is no file {subject}, and " in ended.err
