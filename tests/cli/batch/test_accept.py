"""``batch run`` and ``batch results`` with answers that do not hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import CONFIG, Command, question, read_lines, write_lines

BAD = "This is not what was asked for."


def configured(options: str, generation: str = "") -> Path:
    """Write a configuration with further options of the engine."""
    path = Path("c.yaml")
    path.write_text(f"{CONFIG}      {options}\n{generation}")
    return path


def run(fireworks: Command, config: Path, *more: str) -> Any:
    return fireworks(
        "batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl", *more
    )


def rows(*bad: int) -> None:
    """Write questions, of which so many answers are bad at first."""
    good = '[[reply {"ok": true}]]'
    write_lines(
        Path("in.jsonl"), [question(f"{n} [[bad {times}]]{good}") for n, times in enumerate(bad)]
    )


def test_rejected_rows_are_run_again_and_those_left_are_written_apart(
    fireworks: Command, at_emulator: Emulator
) -> None:
    rows(0, 1, 9, 2)
    config = configured("accept: {json: true}\n      on_reject: {temperature: +0.2, attempts: 2}")
    ended = run(fireworks, config)
    assert ended.code == 3
    assert "4 rows: 3 answered, 1 rejected." in ended.err
    assert "1 × rejected: no JSON (row 2)" in ended.err
    assert "Rejected on the way: 6 answers" in ended.err
    assert "Retry, once a parameter or on_reject has changed:" in ended.err
    assert len(read_lines(Path("out.jsonl"))) == 3
    (line,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert (line["index"], line["error"]["kind"], line["rejected"]) == (2, "no JSON", 3)
    assert line["answer"]["content"] == BAD
    assert [job.rows for job in at_emulator.jobs] == [4, 3, 2]


def test_kept_answers_are_marked_and_leave_nothing_open(fireworks: Command) -> None:
    rows(0, 9)
    ended = run(fireworks, configured("accept: {json: true, keep: true}"))
    assert ended.code == 0
    assert "2 rows: 1 answered, 1 rejected and kept, marked." in ended.err
    good, kept = read_lines(Path("out.jsonl"))
    assert "rejected" not in good["metadata"]
    assert kept["messages"][-1]["content"] == BAD
    assert kept["metadata"]["rejected"]["kind"] == "no JSON"
    assert not Path("out.jsonl.errors.jsonl").exists()


def test_the_schema_of_guided_decoding_is_the_one_that_answers_are_held_against(
    fireworks: Command,
) -> None:
    write_lines(
        Path("in.jsonl"),
        [question("a"), question('b [[reply {"item": {"price": "2"}}]]')],
    )
    generation = """generation:
  guided_decoding:
    json:
      type: object
      properties:
        item: {type: object, properties: {price: {type: number}}}
      required: [item]
"""
    ended = run(fireworks, configured("accept: {schema: true}", generation))
    assert ended.code == 3
    assert "1 × rejected: schema: /item/price is not a number (row 1)" in ended.err
    (line,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert line["error"]["kind"] == "schema: /item/price is not a number"


def test_the_tools_of_each_row_are_those_that_its_calls_have_to_fit(fireworks: Command) -> None:
    def tool(name: str, kind: str) -> dict[str, Any]:
        schema = {"type": "object", "properties": {"x": {"type": kind}}, "required": ["x"]}
        function = {"name": name, "description": "d", "parameters": schema}
        return {"type": "function", "function": function}

    write_lines(
        Path("in.jsonl"),
        [
            question("a", tools=[tool("first", "string")]),
            question("no tools"),
            question("b", tools=[tool("second", "integer")]),
        ],
    )
    assert run(fireworks, configured("accept: {tools: true}")).code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("accept: {schema: {type: objekt}}", "accept.schema is no JSON schema"),
        ("accept: {schema: true}", "accept.schema is true, and there is no schema"),
        ("accept: {json: yes please}", "accept.json: expected true or false"),
        ("on_reject: {repair: 1}", "without accept no row is rejected"),
        ("accept: {json: true}\n      on_reject: {attempts: 2}", "would change nothing"),
        (
            "accept: {json: true}\n      on_reject: {max_new_tokens: 1024}",
            "on_reject would change nothing: max_new_tokens is 1024 already",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    fireworks: Command, at_emulator: Emulator, options: str, says: str
) -> None:
    rows(0)
    ended = run(fireworks, configured(options))
    assert ended.code == 2
    assert says in " ".join(ended.err.split())
    assert at_emulator.requests == []


def test_a_tool_whose_schema_is_broken_is_a_line_that_cannot_be_sent(
    fireworks: Command, at_emulator: Emulator
) -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "string", "pattern": "("}}
    tools = [{"type": "function", "function": function}]
    write_lines(Path("in.jsonl"), [question("a", tools=tools)])
    ended = run(fireworks, configured("accept: {tools: true}"))
    assert ended.code == 1
    assert "in.jsonl:1: the tool f's parameters is no JSON schema" in " ".join(ended.err.split())
    assert at_emulator.requests == []


def test_what_an_attempt_would_not_change_is_said(fireworks: Command) -> None:
    rows(0)
    options = "accept: {json: true}\n      on_reject: {max_new_tokens: 2000, attempts: 3}"
    ended = run(fireworks, configured(options))
    assert ended.code == 0
    assert "from attempt 2 on nothing would be different" in " ".join(ended.err.split())


def test_results_by_id_only_report_what_does_not_hold(
    fireworks: Command, at_emulator: Emulator
) -> None:
    rows(0, 1)
    config = configured("accept: {json: true}\n      on_reject: {temperature: +0.2}")
    batch = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl").out.strip()
    assert fireworks("batch", "status", batch, "--watch").code == 0
    results = ("batch", "results", batch, "--input", "in.jsonl", "--output", "out.jsonl")
    assert fireworks(*results).code == 0
    ended = fireworks(*results, "--overwrite", "-c", config)
    assert ended.code == 3
    assert "2 rows: 1 answered, 1 rejected." in ended.err
    (line,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert (line["index"], line["answer"]["content"]) == (1, BAD)
    assert len(at_emulator.jobs) == 1
    again = fireworks("batch", "retry", batch, "-c", config, "--input", "in.jsonl").out.strip()
    assert fireworks("batch", "status", again, "--watch").code == 0
    merged = ("batch", "results", batch, again, "--input", "in.jsonl", "-c", config)
    assert fireworks(*merged, "--output", "merged.jsonl").code == 0


def retry(fireworks: Command, config: Path) -> Any:
    return fireworks("batch", "retry", "out.jsonl", "-c", config, "--input", "in.jsonl")


def test_a_retry_of_an_output_asks_with_other_parameters_or_not_at_all(
    fireworks: Command, at_emulator: Emulator
) -> None:
    rows(0, 3, 9)
    plain = configured("accept: {json: true}")
    assert run(fireworks, plain).code == 3
    ended = retry(fireworks, plain)
    assert ended.code == 3
    assert "2 rejected rows of out.jsonl would be asked for with the parameters" in ended.err
    assert len(at_emulator.jobs) == 1
    warmer = configured("accept: {json: true}\n      on_reject: {temperature: +0.2, attempts: 3}")
    for times in (2, 3, 4):
        assert retry(fireworks, warmer).code == 3
        lines = read_lines(Path("out.jsonl.errors.jsonl"))
        assert lines[-1]["rejected"] == times
        assert lines[-1]["answer"]["content"] == BAD
    assert [line["index"] for line in lines] == [2]  # row 1 was answered in its last attempt
    assert len(read_lines(Path("out.jsonl"))) == 2
    assert [job.rows for job in at_emulator.jobs] == [3, 2, 2, 2]
    assert retry(fireworks, warmer).code == 3
    assert len(at_emulator.jobs) == 4


def test_with_another_parameter_a_retry_is_another_request(
    fireworks: Command, at_emulator: Emulator
) -> None:
    rows(1, 2)
    assert run(fireworks, configured("accept: {json: true}")).code == 3
    longer = configured("accept: {json: true}", "generation: {max_new_tokens: 99}\n")
    assert retry(fireworks, longer).code == 3
    (line,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert (line["index"], line["rejected"]) == (1, 1)
    assert [job.rows for job in at_emulator.jobs] == [2, 2]


def test_what_would_be_rejected_is_said_with_the_line_to_add(
    fireworks: Command, at_emulator: Emulator
) -> None:
    write_lines(
        Path("in.jsonl"),
        [question("a"), question("b [[words 500]]"), question("c [[empty]]"), question("d")],
    )
    generation = "generation: {max_new_tokens: 100}\n"
    ended = run(fireworks, configured("row_retries: 1", generation), "--report", "r.html")
    assert ended.code == 0
    said = " ".join(ended.err.split())
    assert "Among 4 answers that were taken: 1 cut off, 1 empty." in said
    assert "accept: {finish_reason: [stop, tool_calls], not_empty: true}" in said
    for subject in ("out.jsonl", at_emulator.jobs[0].id):
        assert fireworks("batch", "report", subject, "--output", "s.html").code == 0
        assert "Among 4 answers that were taken: 1 cut off, 1 empty." in Path("s.html").read_text()
    assert "1 cut off, 1 empty" in Path("r.html").read_text()
    again = configured("accept: {finish_reason: [stop], not_empty: true}", generation)
    check = ("batch", "check", "-c", again, "--input", "in.jsonl", "--answers", "out.jsonl")
    told = " ".join(fireworks(*check).out.split())
    assert "out.jsonl: 4 answers, 2 would be rejected" in told
    assert "1 × cut off" in told
    tried = json.loads(fireworks(*check, "--json").out)["answers"]
    assert tried == {
        "file": "out.jsonl",
        "answers": 4,
        "rejected": {"cut off": 1, "empty": 1},
        "worth_a_rule": {},
    }
    plain = configured("row_retries: 1", f"{generation}output_path: out.jsonl\n")
    told = fireworks("batch", "check", "-c", plain, "--input", "in.jsonl", "--json").out
    assert json.loads(told)["answers"]["worth_a_rule"] == {"cut off": 1, "empty": 1}
    assert (
        "every answer is taken"
        in fireworks("batch", "check", "-c", plain, "--input", "in.jsonl").out
    )


@pytest.mark.parametrize("mode", ["batch", "online"])
def test_the_report_shows_the_first_and_the_last_answer_and_the_cost(
    fireworks: Command, mode: str
) -> None:
    rows(0, 1, 9)
    config = configured("accept: {json: true}\n      on_reject: {temperature: +0.2}")
    prices = ("--price-in", "1000", "--price-out", "1000")
    ended = run(fireworks, config, "--report", "r.html", *prices, "--mode", mode)
    assert ended.code == 3, ended.err
    page = Path("r.html").read_text()
    section = page.partition('<section aria-labelledby="rejections">')[2].partition("</section>")[0]
    assert "no JSON" in section
    (told,) = re.findall(r"Rejected on the way: (\d+ answers)", ended.err)
    assert told in section
    assert "$" in section
    assert section.count("first answer") == 2
    assert section.count(BAD) == 3  # first of two rows, and the last of one
    assert "{&#34;ok&#34;: true}" in section
    assert "holds" in section
    assert "Rejected" in page.partition('<dl class="legend">')[2]
    assert fireworks("batch", "report", "out.jsonl").code == 0
    of_output = Path("out.jsonl.html").read_text()
    assert '<li id="row-2" data-kind="rejected">' in of_output
    assert BAD in of_output


def test_a_trial_of_something_else_is_refused(fireworks: Command, config: Path) -> None:
    rows(0)
    Path("other").write_text("no JSON\n")
    ended = fireworks("batch", "check", "-c", config, "--input", "in.jsonl", "--answers", "other")
    assert ended.code == 2
    assert "other:1 is not what `batch run` writes" in " ".join(ended.err.split())


def test_rows_that_ask_the_same_are_asked_again_once(
    fireworks: Command, at_emulator: Emulator
) -> None:
    rows(0)
    same = question('[[bad 1]][[reply {"ok": true}]]')
    never = question("[[bad 9]]")
    write_lines(Path("in.jsonl"), [same, same, never, never, question('[[reply {"a": 1}]]')])
    options = "accept: {json: true}\n      on_reject: {temperature: +0.2}"
    ended = run(fireworks, configured(options, "generation: {temperature: 0.0}\n"))
    assert ended.code == 3
    assert "5 rows: 3 answered, 2 rejected." in ended.err
    lines = read_lines(Path("out.jsonl.errors.jsonl"))
    assert [(line["index"], line["rejected"]) for line in lines] == [(2, 2), (3, 2)]
    assert {line["answer"]["content"] for line in lines} == {BAD}
    assert [job.rows for job in at_emulator.jobs] == [3, 2]
