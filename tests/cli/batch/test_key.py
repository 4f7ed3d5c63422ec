"""``--key``: one batch, however often it is submitted or run, and from wherever."""

from __future__ import annotations

from pathlib import Path

from oumi_fireworks.batch.ids import stem_of_key
from oumi_fireworks.emulator import Emulator
from tests.api.support import with_client
from tests.cli.batch.support import Command, question, read_lines, write_lines

ROWS = [question("zero [[echo]]"), question("one [[flaky]] [[echo]]")]


def test_submitted_again_it_prints_the_same_id(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    submit = ["batch", "submit", "-c", config, "--input", "in.jsonl", "--key", "dag/run"]
    first, second = fireworks(*submit), fireworks(*submit)
    assert (first.code, second.code) == (0, 0), second.err
    assert first.out == second.out == stem_of_key("dag/run") + "\n"
    assert len(at_emulator.jobs) == 1
    job = with_client(at_emulator, lambda client: client.jobs.get(first.out.strip()))
    assert job.display_name == "dag/run"


def test_a_run_finds_the_batch_and_its_retry_from_an_empty_folder(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    common = ["-c", config, "--input", "in.jsonl", "--key", "dag/run"]
    assert fireworks("batch", "submit", *common).code == 0
    for output in ("here.jsonl", "elsewhere.jsonl"):
        ended = fireworks("batch", "run", *common, "--output", output)
        assert ended.code == 0, ended.err
        assert len(read_lines(Path(output))) == 2
    stem = stem_of_key("dag/run")
    assert [job.id for job in at_emulator.jobs] == [stem, f"{stem}-r1"]
    assert at_emulator.ledger.rows == 3


def test_other_rows_under_a_key_are_refused(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    write_lines(Path("other.jsonl"), ROWS[:1])
    submit = ["batch", "submit", "-c", config, "--key", "k"]
    assert fireworks(*submit, "--input", "in.jsonl").code == 0
    for command in (submit, ["batch", "run", *submit[2:], "--output", "out.jsonl"]):
        refused = fireworks(*command, "--input", "other.jsonl")
        assert refused.code == 2
        assert "The key 'k' stands for batch" in refused.err
        assert "has 2 rows, not 1" in refused.err
    assert len(at_emulator.jobs) == 1
    assert not Path("out.jsonl.run").exists()


def test_the_rows_of_an_output_that_are_run_again_are_another_batch(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    config.write_text(config.read_text() + "      row_retries: 0\n      key: nightly\n")
    write_lines(Path("in.jsonl"), ROWS)
    common = ["-c", config, "--input", "in.jsonl"]
    assert fireworks("batch", "run", *common, "--output", "out.jsonl").code == 3
    assert fireworks("batch", "retry", "out.jsonl", *common).code == 0
    first, again = at_emulator.jobs
    assert first.id == stem_of_key("nightly")
    assert again.id != first.id
    assert len(read_lines(Path("out.jsonl"))) == 2
