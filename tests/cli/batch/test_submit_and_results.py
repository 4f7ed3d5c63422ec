"""``batch submit`` and ``batch results``: the two ends of a batch, on their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import Command, question, read_lines, write_lines

ROWS = [question("zero"), question("one [[fail]]", conversation_id="1"), question("two")]


@pytest.fixture
def submitted(fireworks: Command, config: Path) -> str:
    """The id of a batch of three rows that is about to end."""
    write_lines(Path("in.jsonl"), ROWS)
    ended = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl")
    assert ended.code == 0, ended.err
    return ended.out.strip()


@pytest.fixture
def ended_batch(submitted: str, at_emulator: Emulator) -> str:
    """The same, ended."""
    at_emulator.clock.advance(3600)
    return submitted


def test_submit_prints_the_id_alone_on_stdout(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    ended = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl")
    (job,) = at_emulator.jobs
    assert ended.code == 0
    assert ended.out == f"{job.id}\n"
    assert "Submitted 3 rows." in ended.err
    assert f"oumi-fireworks batch status {job.id} --watch" in ended.err


def test_submit_takes_what_is_piped_in(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    content = write_lines(Path("in.jsonl"), ROWS).read_bytes()
    assert fireworks("batch", "submit", "-c", config, "--input", "-", stdin=content).code == 0
    assert at_emulator.datasets[0].rows == 3


def test_submit_of_bad_lines_submits_nothing(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), [*ROWS, b"{"])
    refused = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl")
    assert refused.code == 1
    assert refused.out == ""
    assert "in.jsonl:4: not JSON" in refused.err
    assert not at_emulator.datasets
    without = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl", "--skip-bad")
    assert without.code == 0
    assert "Left out 1 line" in without.err
    assert "in.jsonl:4: not JSON" in without.err
    assert at_emulator.datasets[0].rows == 3


def test_a_refused_submission_leaves_nothing_behind(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    at_emulator.faults.add(
        Fault(method="POST", path="batchInferenceJobs", kind="status", status=402)
    )
    ended = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl")
    assert ended.code == 1
    assert ended.out == ""
    assert "Add a means of payment" in ended.err
    assert all(dataset.deleted for dataset in at_emulator.datasets)


def test_results_are_merged_with_the_input(fireworks: Command, ended_batch: str) -> None:
    ended = fireworks("batch", "results", ended_batch, "--input", "in.jsonl", "--output", "o.jsonl")
    answers, (failure,) = read_lines(Path("o.jsonl")), read_lines(Path("o.jsonl.errors.jsonl"))
    assert ended.code == 3
    assert [row["messages"][0]["content"] for row in answers] == ["zero", "two"]
    assert all(row["messages"][-1]["role"] == "assistant" for row in answers)
    assert (failure["index"], failure["conversation_id"]) == (1, "1")
    assert not Path("o.jsonl.fetch").exists()
    again = fireworks("batch", "results", ended_batch, "--input", "in.jsonl", "--output", "o.jsonl")
    assert again.code == 2
    assert "o.jsonl exists already" in again.err


def test_results_without_an_output_are_data_on_stdout(fireworks: Command, ended_batch: str) -> None:
    ended = fireworks("batch", "results", ended_batch, "--input", "in.jsonl")
    assert fireworks("batch", "results", ended_batch, "-i", "in.jsonl", "-o", "-") == ended
    assert ended.code == 3
    assert len(ended.out.splitlines()) == 2
    assert '"zero"' in ended.out
    assert "3 rows: 2 answered, 1 failed." in ended.err


def test_results_without_the_input_are_the_rows_as_they_are(
    fireworks: Command, ended_batch: str
) -> None:
    to_stdout = fireworks("batch", "results", ended_batch)
    to_file = fireworks("batch", "results", ended_batch, "--output", "raw.jsonl")
    assert (to_stdout.code, to_file.code) == (3, 3)
    rows = read_lines(Path("raw.jsonl"))
    names = {row["custom_id"].rpartition("-")[0] for row in rows}
    assert names == {"request-0", "request-1", "request-2"}
    assert to_stdout.out == Path("raw.jsonl").read_text()


def test_results_of_another_input_are_refused(fireworks: Command, ended_batch: str) -> None:
    write_lines(Path("other.jsonl"), ROWS[:2])
    ended = fireworks("batch", "results", ended_batch, "--input", "other.jsonl")
    assert ended.code == 2
    assert "has 2 conversations" in ended.err
    assert "has 3 rows" in ended.err


def test_results_of_a_batch_at_work_say_how_to_wait(
    fireworks: Command, submitted: str, at_emulator: Emulator
) -> None:
    at_emulator.set_job(submitted, "JOB_STATE_RUNNING")
    for inputs in ([], ["--input", "in.jsonl"]):
        ended = fireworks("batch", "results", submitted, *inputs, "--output", "o.jsonl")
        assert ended.code == 1
        assert f"batch status {submitted} --watch" in ended.err
        assert not Path("o.jsonl").exists()
        assert not Path("o.jsonl.fetch").exists()


def test_results_of_no_batch(fireworks: Command, at_emulator: Emulator) -> None:
    assert fireworks("batch", "results", "No_Id").code == 2
    unknown = fireworks("batch", "results", "oumi-aaaaaaaaaaaaaaaa")
    assert unknown.code == 1
    assert "There is no batch oumi-aaaaaaaaaaaaaaaa" in unknown.err


def test_a_cut_download_goes_on_with_the_next_call(
    fireworks: Command, ended_batch: str, at_emulator: Emulator
) -> None:
    results = "storage/.*BIJOutputSet"
    at_emulator.faults.add(Fault(path=results, kind="cut", bytes=100))
    at_emulator.faults.add(Fault(path=results, kind="stale_url", times=None))
    # Asked for so far: the list, and a URL for each of two files. The next one is refused.
    at_emulator.faults.add(Fault(path=":getDownloadEndpoint", status=403, after=3, times=None))
    arguments = ["batch", "results", ended_batch, "--input", "in.jsonl", "--output", "o.jsonl"]
    assert fireworks(*arguments).code == 1
    at_emulator.faults.clear()
    assert Path("o.jsonl.fetch").is_dir()
    assert fireworks(*arguments).code == 3
    ranges = [each.headers.get("range") for each in at_emulator.requests_to("GET", results)]
    assert ranges[0] is None
    assert set(ranges[1:]) == {"bytes=100-"}
    assert not Path("o.jsonl.fetch").exists()


def test_a_report_of_a_batch_shows_prompts_answers_and_failures(
    fireworks: Command, ended_batch: str
) -> None:
    ended = fireworks("batch", "report", ended_batch, "--price-in", "1", "--price-out", "2")
    page = Path(f"{ended_batch}.html").read_text()
    assert ended.code == 0
    assert ended.out == ""
    assert "one [[fail]]" in page
    assert "the prompt asked for a failure" in page
    assert ended_batch in page


def test_a_batch_that_failed_as_a_whole_says_why_in_its_rows_and_its_report(
    fireworks: Command, submitted: str, at_emulator: Emulator
) -> None:
    at_emulator.set_job(submitted, "JOB_STATE_FAILED", message="out of <luck>")
    raw = fireworks("batch", "results", submitted)
    assert (raw.code, raw.out) == (1, "")
    assert "ended as JOB_STATE_FAILED: out of <luck>" in raw.err
    assert fireworks("batch", "report", submitted).code == 0
    verdict = Path(f"{submitted}.html").read_text().partition('id="totals"')[0]
    assert "0 of 3 rows were answered." in verdict
    assert "ended as JOB_STATE_FAILED: out of &lt;luck&gt;" in verdict


def test_results_of_a_cancelled_batch_tell_what_it_has_used(
    fireworks: Command, submitted: str, at_emulator: Emulator
) -> None:
    at_emulator.set_job(submitted, "JOB_STATE_CANCELLED", rows=2)
    prices = ["--price-in", "1000", "--price-out", "1000"]
    for arguments in ([], ["--input", "in.jsonl"]):
        ended = fireworks("batch", "results", submitted, *arguments, *prices)
        assert ended.code == 3
        assert ended.out
        assert re.search(r"Tokens: \d+ in, \d+ out: \$\d", ended.err)


def test_a_report_of_nothing(fireworks: Command, at_emulator: Emulator) -> None:
    Path("text.txt").write_text("no JSON")
    Path("list.jsonl").write_text("[1]\n")
    write_lines(Path("prompts.jsonl"), [{"prompt": "no conversation"}])
    write_lines(Path("input.jsonl"), [question("no answer")])
    Path("cut.jsonl").touch()
    Path("cut.jsonl.errors.jsonl").write_text('{"index": 0, "err')
    for subject in (
        "nowhere.jsonl",
        "input.jsonl",
        "text.txt",
        "list.jsonl",
        "prompts.jsonl",
        "cut.jsonl",
    ):
        ended = fireworks("batch", "report", subject)
        assert ended.code == 2
        assert subject in ended.err
        assert "Traceback" not in ended.err
    assert not list(Path().glob("*.html"))


def test_a_report_replaces_no_file_of_the_batch(fireworks: Command, ended_batch: str) -> None:
    for report in ("in.jsonl", "out.jsonl", "out.jsonl.errors.jsonl", "."):
        ended = fireworks(
            "batch", "results", ended_batch, "--input", "in.jsonl", "--output", "out.jsonl",
            "--report", report,
        )  # fmt: skip
        assert ended.code == 2
        assert f"The report {report} " in ended.err
    assert fireworks("batch", "report", "in.jsonl", "--output", "in.jsonl").code == 2
    assert fireworks("batch", "report", ended_batch, "--output", ".").code == 2
    assert read_lines(Path("in.jsonl")) == ROWS
    assert not list(Path().glob("out.jsonl*"))


def test_a_report_passes_over_prompts_that_cannot_be_read(
    fireworks: Command, ended_batch: str, at_emulator: Emulator
) -> None:
    fault = Fault(
        kind="garbage", path="^/storage/.*-in/", body='{"cut\n[]\n{"custom_id": 7}\n', times=None
    )
    at_emulator.faults.add(fault)
    ended = fireworks("batch", "report", ended_batch)
    assert (ended.code, "Traceback" in ended.err) == (0, False)
    assert at_emulator.faults.fired(fault)
    assert "the prompt asked for a failure" in Path(f"{ended_batch}.html").read_text()


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (("--events", "e.jsonl"), "events"),
        (("--notify", "json://localhost"), "notify"),
        (("--model.model_kwargs.fireworks.deadline=6h",), "deadline"),
        (("--model.model_kwargs.fireworks.cache=answers",), "cache"),
        (("--model.model_kwargs.fireworks.dedupe=on",), "dedupe: on"),
    ],
)
def test_the_retry_of_a_batch_refuses_what_it_cannot_follow(
    fireworks: Command,
    config: Path,
    at_emulator: Emulator,
    ended_batch: str,
    option: tuple[str, ...],
    name: str,
) -> None:
    asked = len(at_emulator.requests)
    ended = fireworks("batch", "retry", ended_batch, "-c", config, "--input", "in.jsonl", *option)
    assert ended.code == 2, ended.err
    said = " ".join(ended.err.split())
    assert f"{name} cannot be followed by `batch retry ID`" in said
    assert "`batch retry OUTPUT`" in said
    assert len(at_emulator.requests) == asked


def test_the_retry_of_a_batch_holds_a_budget_before_anything_is_sent(
    fireworks: Command, config: Path, at_emulator: Emulator, ended_batch: str
) -> None:
    retry = (
        "batch", "retry", ended_batch, "-c", config, "--input", "in.jsonl",
        "--price-in", "1", "--price-out", "1", "--max-cost",
    )  # fmt: skip
    refused = fireworks(*retry, "0.000001")
    assert refused.code != 0
    assert "max_cost" in refused.err
    assert len(at_emulator.jobs) == 1
    assert fireworks(*retry, "10").code == 0
    assert len(at_emulator.jobs) == 2
