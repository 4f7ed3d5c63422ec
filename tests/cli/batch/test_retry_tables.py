"""``batch retry`` and ``batch report`` of outputs with a row for each of the input's."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.tables.answer_columns import COLUMNS
from tests.cli.batch.support import CONFIG, Command, Ended, question, read_lines, write_lines

ROWS = {
    "text": ['a, "b"\nc', "[[flaky]] one", None, "[[fail]] two", "plain", "[[flaky]] three"],
    "day": [datetime.date(2026, 1, day) for day in range(1, 7)],
    "tags": [["x", None], [], None, ["y"], ["z"], []],
}
INPUT = ("--prompt", "{text}!")
ONCE = "--model.model_kwargs.fireworks.row_retries=0"
OUTCOMES = ["answered", "answered", "bad row", "failed", "answered", "answered"]


def lines_of(path: str) -> list[dict[str, Any]]:
    return read_lines(Path(path))


def csv_rows(delimiter: str = ",") -> Callable[[str], list[dict[str, Any]]]:
    options = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    texts = pacsv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)

    def read(path: str) -> list[dict[str, Any]]:
        content = Path(path).read_bytes()
        file = io.BytesIO(gzip.decompress(content) if path.endswith(".gz") else content)
        table = pacsv.read_csv(file, parse_options=options, convert_options=texts)
        return list(table.to_pylist())

    return read


KINDS: dict[str, tuple[Callable[[str], list[dict[str, Any]]], tuple[str, ...]]] = {
    "out.parquet": (lambda path: pq.read_table(path).to_pylist(), ()),
    "out.arrow": (lambda path: feather.read_table(path).to_pylist(), ()),
    "out.csv": (csv_rows(), ("--prefix", "llm_")),
    "out.csv.gz": (csv_rows(), ()),
    "out.tsv": (csv_rows("\t"), ()),
    "out.jsonl": (lines_of, ("--output-format", "rows")),
}


@pytest.fixture
def source(at_emulator: Emulator) -> str:
    """A table with a row that cannot be sent."""
    pq.write_table(pa.table(ROWS), "in.parquet")
    return "in.parquet"


def run(fireworks: Command, config: Path, output: str, *flags: str) -> Ended:
    ended = fireworks(
        *("batch", "run", "-c", config, "--input", "in.parquet", "--output", output),
        *(*INPUT, "--skip-bad", ONCE, "--price-in", "1", "--price-out", "1", *flags),
    )
    assert ended.code == 3, ended.err
    assert f":  oumi-fireworks batch retry {output} -c " in ended.err
    return ended


def retry(fireworks: Command, config: Path, output: str, *flags: str) -> Ended:
    given = ("batch", "retry", output, "-c", config, "--input", "in.parquet", *INPUT, ONCE)
    return fireworks(*given, "--price-in", "1", "--price-out", "1", *flags)


@pytest.mark.parametrize("output", KINDS)
def test_answers_come_to_their_rows_and_nothing_else_changes(
    fireworks: Command, config: Path, at_emulator: Emulator, source: str, output: str
) -> None:
    read, flags = KINDS[output]
    run(fireworks, config, output, *flags)
    prefix = "llm_" if "--prefix" in flags else ""
    before = read(output)
    open_rows = [at for at, row in enumerate(before) if row[f"{prefix}outcome"] == "failed"]
    assert open_rows == [1, 3, 5]
    ended = retry(fireworks, config, output, "--json")
    assert ended.code == 3, ended.err
    assert (json.loads(ended.out)["answered"], json.loads(ended.out)["open"]) == (2, 1)
    assert at_emulator.jobs[-1].rows == 3
    after = read(output)
    assert [row[f"{prefix}outcome"] for row in after] == OUTCOMES
    own = ("text", "day", "tags")
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        assert list(new) == list(old) == [*own, *(prefix + name for name in COLUMNS)]
        assert {name: new[name] for name in own} == {name: old[name] for name in own}
        if at not in open_rows:
            assert new == old
    assert "three" in after[5][f"{prefix}answer"]
    assert after[5][f"{prefix}cost"] > 0
    assert after[1][f"{prefix}error"] is None
    left_out, failed = sorted(
        read_lines(Path(f"{output}.errors.jsonl")), key=lambda row: row["index"] or 0
    )
    assert (left_out["row"], failed["index"]) == (3, 2)
    assert not list(Path().glob("*.run"))
    assert retry(fireworks, config, output).code == 3  # [[fail]] fails for ever
    assert at_emulator.jobs[-1].rows == 1


def test_types_and_metadata_of_a_table_stay(
    fireworks: Command, config: Path, source: str, at_emulator: Emulator
) -> None:
    run(fireworks, config, "out.parquet")
    before = pq.read_schema("out.parquet")
    retry(fireworks, config, "out.parquet")
    assert pq.read_schema("out.parquet").equals(before, check_metadata=True)


@pytest.mark.parametrize("output", ["out.parquet", "out.csv", "out.jsonl"])
def test_fields_of_answers_come_to_their_columns(
    fireworks: Command, at_emulator: Emulator, output: str
) -> None:
    reply = '[[flaky]] [[reply {"label": "%s", "count": 7}]]'
    pq.write_table(pa.table({"text": [reply % "a", reply % "b"]}), "in.parquet")
    config = Path("c.yaml")
    config.write_text(
        CONFIG + "generation:\n  guided_decoding:\n    json: {type: object, properties: "
        "{label: {type: string}, count: {type: integer}}}\n"
    )
    flags = ("--output-format", "rows") if output == "out.jsonl" else ()
    run(fireworks, config, output, "--expand", *flags)
    done = retry(fireworks, config, output)
    assert done.code == 0, done.err
    rows = KINDS[output][0](output)
    assert [(row["label"], row["count"]) for row in rows] == [("a", 7), ("b", 7)]
    assert not Path(f"{output}.errors.jsonl").exists()
    if output == "out.csv":
        config.write_text(CONFIG)
        refused = retry(fireworks, config, output)
        assert refused.code == 2
        assert "Use the configuration that the output was made with" in " ".join(
            refused.err.split()
        )


def test_results_as_openai_has_them_keep_their_ids_and_their_parameters(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    texts = ["a", "[[flaky]] b", "[[flaky]] c"]
    requests = [
        {"custom_id": f"r{at}", "body": {**question(text), "max_tokens": 5 + at}}
        for at, text in enumerate(texts)
    ]
    write_lines(Path("in.jsonl"), [requests[0], {"custom_id": "none"}, *requests[1:]])
    common = ("-c", config, "--input", "in.jsonl", ONCE)
    ended = fireworks(
        "batch", "run", *common, "--output", "out.jsonl", "--output-format", "openai", "--skip-bad"
    )
    assert ended.code == 3, ended.err
    before = read_lines(Path("out.jsonl"))
    assert [line["response"] is None for line in before] == [False, True, True]
    ended = fireworks("batch", "retry", "out.jsonl", *common)
    assert ended.code == 0, ended.err
    after = read_lines(Path("out.jsonl"))
    assert after[0] == before[0]
    assert [(line["id"], line["custom_id"]) for line in after] == [
        (line["id"], line["custom_id"]) for line in before
    ]
    assert [line["response"]["body"]["usage"]["completion_tokens"] for line in after] == [5, 6, 7]
    assert [line["error"] for line in after] == [None] * 3
    assert [line["index"] for line in read_lines(Path("out.jsonl.errors.jsonl"))] == [None]


def test_an_output_of_another_input_is_refused(
    fireworks: Command, config: Path, at_emulator: Emulator, source: str
) -> None:
    run(fireworks, config, "out.parquet")
    content = Path("out.parquet").read_bytes()
    table = pq.read_table("in.parquet")
    others = [
        table.slice(0, 5),
        pa.concat_tables([table, table.slice(0, 1)]),
        table.take([0, 5, 2, 3, 4, 1]),
        table.take([0, 1, 3, 2, 4, 5]),
    ]
    for other in others:
        pq.write_table(other, "in.parquet")
        ended = retry(fireworks, config, "out.parquet")
        assert ended.code == 2, ended.err
        assert "out.parquet is not of this input" in ended.err
    assert Path("out.parquet").read_bytes() == content
    assert len(at_emulator.jobs) == 1
    Path("in.parquet").unlink()
    assert "There is no file in.parquet" in retry(fireworks, config, "out.parquet").err


@pytest.mark.parametrize("output", ["out.parquet", "out.jsonl"])
def test_an_output_that_was_sorted_by_hand_is_refused(
    fireworks: Command, config: Path, at_emulator: Emulator, output: str
) -> None:
    texts = ["a", "b", "c [[fail]]"]
    pq.write_table(pa.table({"text": texts}), "in.parquet")
    run(fireworks, config, output, *KINDS[output][1])
    if output == "out.parquet":
        pq.write_table(pq.read_table(output).take([2, 1, 0]), output)
    else:
        lines = Path(output).read_bytes().splitlines(keepends=True)
        Path(output).write_bytes(b"".join(reversed(lines)))
    content = Path(output).read_bytes()
    ended = retry(fireworks, config, output)
    assert ended.code == 2, ended.err
    assert "has another 'text' than the row in its place. Nothing was sent." in ended.err
    assert Path(output).read_bytes() == content
    assert len(at_emulator.jobs) == 1


def test_without_its_errors_file_a_table_knows_its_open_rows(
    fireworks: Command, config: Path, at_emulator: Emulator, source: str
) -> None:
    run(fireworks, config, "out.parquet")
    Path("out.parquet.errors.jsonl").unlink()
    assert retry(fireworks, config, "out.parquet").code == 3
    assert pq.read_table("out.parquet")["outcome"].to_pylist() == OUTCOMES
    (failed,) = read_lines(Path("out.parquet.errors.jsonl"))
    assert failed["index"] == 2


def test_a_retry_that_was_stopped_goes_on_without_another_job(
    fireworks: Command, config: Path, at_emulator: Emulator, source: str
) -> None:
    run(fireworks, config, "out.parquet")
    content = Path("out.parquet").read_bytes()
    at_emulator.faults.add(
        Fault(method="GET", path="getDownloadEndpoint", kind="status", status=403)
    )
    assert retry(fireworks, config, "out.parquet").code == 1
    assert Path("out.parquet").read_bytes() == content
    assert retry(fireworks, config, "out.parquet").code == 3
    assert pq.read_table("out.parquet")["outcome"].to_pylist() == OUTCOMES
    assert len(at_emulator.jobs) == 2


def test_a_rejected_answer_stays_where_the_next_one_is_a_failure(
    fireworks: Command, at_emulator: Emulator
) -> None:
    texts = ["[[bad 1]][[reply {}]]", "[[bad 9]]", "fine [[reply {}]]"]
    pq.write_table(pa.table({"text": texts}), "in.parquet")
    config = Path("c.yaml")
    config.write_text(f"{CONFIG}      accept: {{json: true}}\n")
    run(fireworks, config, "out.parquet")
    stays = retry(fireworks, config, "out.parquet")
    assert stays.code == 3
    assert "2 rejected rows of out.parquet would be asked for with the parameters" in stays.err
    config.write_text(
        f"{CONFIG}      accept: {{json: true}}\n      on_reject: {{temperature: +0.2}}\n"
    )
    ended = retry(fireworks, config, "out.parquet")
    assert ended.code == 3, ended.err
    table = pq.read_table("out.parquet")
    assert table["outcome"].to_pylist() == ["answered", "rejected", "answered"]
    assert table["answer"].to_pylist()[0] == "{}"
    (line,) = read_lines(Path("out.parquet.errors.jsonl"))
    assert (line["index"], line["rejected"]) == (1, 2)


def test_an_online_run_that_is_not_at_its_end_comes_first(
    fireworks: Command, config: Path, source: str
) -> None:
    cost = ("--price-out", "1000", "--price-in", "0", "--max-cost", "0.1")
    run = ("batch", "run", "--mode", "online", "-c", config, "--input", source, *INPUT)
    assert fireworks(*run, "--output", "out.parquet", "--skip-bad", *cost).code == 3
    refused = retry(fireworks, config, "out.parquet")
    assert refused.code == 2
    assert "The run of out.parquet has not ended" in refused.err


def test_rows_that_were_refused_do_not_hinder_a_retry(fireworks: Command, config: Path) -> None:
    write_lines(Path("in.jsonl"), [question("a"), {"messages": []}, question("[[flaky]] b")])
    common = ("-c", config, "--input", "in.jsonl", ONCE)
    assert fireworks("batch", "run", *common, "--output", "out.jsonl", "--skip-bad").code == 3
    ended = fireworks("batch", "retry", "out.jsonl", *common)
    assert ended.code == 0, ended.err
    assert len(read_lines(Path("out.jsonl"))) == 2


def test_a_table_without_answers_is_no_output(
    fireworks: Command, config: Path, source: str
) -> None:
    for command in ("retry", "report"):
        flags = ("-c", config) if command == "retry" else ()
        ended = fireworks("batch", command, source, *flags)
        assert ended.code in (1, 2)
        assert "in.parquet is not what run or results write" in ended.err
    ended = fireworks("batch", "retry", "s3://bucket/out.parquet", "-c", config)
    assert ended.code == 2
    assert "is not on this machine" in ended.err


@pytest.mark.parametrize("output", KINDS)
def test_a_report_has_what_the_table_says(
    fireworks: Command, config: Path, source: str, output: str
) -> None:
    run(fireworks, config, output, *KINDS[output][1], "--report", "during.html")
    ended = fireworks("batch", "report", output, "--price-in", "1", "--price-out", "1")
    assert ended.code == 0, ended.err
    during, page = Path("during.html").read_text(), Path(f"{output}.html").read_text()
    for total in ("Rows", "Tokens in", "Tokens out"):
        assert figure(page, total) == figure(during, total), total
    assert "1 line of the input could not be sent" in page
    assert "[[flaky]] three" in page
    assert "2026-01-06" in page


def test_a_report_of_openais_results_has_their_answers_and_failures(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(
        Path("in.jsonl"), [question(f"[[{name}]]") for name in ("reply {}", "fail 400", "bad 9")]
    )
    config.write_text(f"{CONFIG}      accept: {{json: true}}\n")
    run = ("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert fireworks(*run, "--output-format", "openai").code == 3
    ended = fireworks("batch", "report", "out.jsonl")
    assert ended.code == 0, ended.err
    page = Path("out.jsonl.html").read_text()
    assert figure(page, "Rows") == "3"
    assert "no JSON" in page
    assert "This is not what was asked for." in page


def figure(page: str, name: str) -> str:
    """Return what a page says of a total."""
    found = re.search(rf"<dt>{name}</dt><dd>([^<]*)</dd>", page)
    assert found is not None, name
    return found[1]
