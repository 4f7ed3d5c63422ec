"""Tables in and tables out, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import CONFIG, Command, read_lines, write_lines

REVIEWS = {"text": ["good", "bad", None], "stars": [5, 1, 3]}


def write(path: str = "in.parquet") -> None:
    pq.write_table(pa.table(REVIEWS), path)


def test_rows_of_a_table_become_conversations_and_keep_their_columns(
    fireworks: Command, config: Path
) -> None:
    write()
    ended = fireworks(
        *("batch", "run", "-c", config, "--input", "in.parquet", "--output", "out.jsonl"),
        *("--prompt", "Classify: {text}", "--system", "Be brief.", "--skip-bad"),
    )
    assert ended.code == 3, ended.err
    first, second = read_lines(Path("out.jsonl"))
    assert [each["content"] for each in first["messages"][:2]] == ["Be brief.", "Classify: good"]
    assert (first["text"], first["stars"], second["stars"]) == ("good", 5, 1)
    (left_out,) = read_lines(Path("out.jsonl.errors.jsonl"))
    assert (left_out["file"], left_out["row"]) == ("in.parquet", 3)
    assert left_out["error"]["message"] == "null in column 'text': there is nothing to ask"


def test_a_configuration_says_all(fireworks: Command, config: Path) -> None:
    write()
    config.write_text(
        "input_path: in.parquet\noutput_path: out.jsonl\n"
        + CONFIG
        + "      input: {prompt: '{stars}', id_column: stars}\n"
    )
    assert fireworks("batch", "run", "-c", config).code == 0
    assert [row["conversation_id"] for row in read_lines(Path("out.jsonl"))] == ["5", "1", "3"]


def test_a_column_that_does_not_exist_is_said_before_anything_is_sent(
    fireworks: Command, config: Path
) -> None:
    write()
    run = ("batch", "run", "-c", config, "--input", "in.parquet", "--output", "out.jsonl")
    ended = fireworks(*run, "--prompt", "{txt}")
    assert ended.code == 2
    assert "There is no column 'txt'. Did you mean 'text'?" in ended.err
    assert not Path("out.jsonl.run").exists()


def test_a_table_is_checked(fireworks: Command, config: Path) -> None:
    write()
    ended = fireworks(
        "batch", "check", "-c", config, "--input", "in.parquet", "--prompt-column", "text"
    )
    assert ended.code == 1
    assert "in.parquet, row 3: null in column 'text'" in ended.err + ended.out


def test_a_table_goes_in_and_a_table_comes_out(fireworks: Command, config: Path) -> None:
    write()
    ended = fireworks(
        *("batch", "run", "-c", config, "--input", "in.parquet", "--output", "out.parquet"),
        *("--prompt-column", "text", "--skip-bad", "--price-in", "1", "--price-out", "1"),
    )
    assert ended.code == 3, ended.err
    table = pq.read_table("out.parquet")
    assert table.select(["text", "stars"]).equals(pa.table(REVIEWS))
    assert table["outcome"].to_pylist() == ["answered", "answered", "bad row"]
    assert all(table["answer"].to_pylist()[:2])
    assert all(cost > 0 for cost in table["cost"].to_pylist()[:2])
    assert len(read_lines(Path("out.parquet.errors.jsonl"))) == 1


def test_a_column_that_the_output_would_have_twice_is_said_before_anything_is_sent(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    pq.write_table(pa.table({"prompt": ["a"], "outcome": ["b"]}), "in.parquet")
    run = ("batch", "run", "-c", config, "--input", "in.parquet", "--output", "out.csv")
    ended = fireworks(*run)
    assert ended.code == 2
    assert "The input has a column 'outcome' already" in ended.err
    assert not at_emulator.ledger.jobs
    assert fireworks(*run, "--prefix", "llm_").code == 0
    assert Path("out.csv").read_text().startswith('"prompt","outcome","llm_answer"')


def test_results_of_a_batch_that_was_submitted_go_into_a_table(
    fireworks: Command, config: Path
) -> None:
    write()
    ask = ("--input", "in.parquet", "--prompt", "{stars}")
    batch_id = fireworks("batch", "submit", "-c", config, *ask).out.strip()
    assert fireworks("batch", "status", batch_id, "--watch").code == 0
    assert fireworks("batch", "results", batch_id, *ask, "--output", "out.csv").code == 0
    assert len(Path("out.csv").read_text().splitlines()) == 4


def test_rows_come_from_elsewhere_and_go_elsewhere(fireworks: Command, config: Path) -> None:
    store = fsspec.filesystem("memory")
    with store.open("/in/1.parquet", "wb") as file:
        pq.write_table(pa.table(REVIEWS), file)
    run = ("batch", "run", "-c", config, "--input", "memory://in/*.parquet", "--prompt", "{stars}")
    try:
        ended = fireworks(*run, "--output", "memory://out/labels.parquet")
        assert ended.code == 0, ended.err
        with store.open("/out/labels.parquet", "rb") as file:
            table = pq.read_table(file)
        assert table["outcome"].to_pylist() == ["answered"] * 3
        assert not store.exists("/out/labels.parquet.errors.jsonl")
        again = fireworks(*run, "--output", "memory://out/labels.parquet")
        assert again.code == 2
        assert "memory://out/labels.parquet exists already" in again.err
    finally:
        store.store.clear()


def test_a_store_that_is_out_of_reach_is_said_before_anything_is_sent(
    fireworks: Command, config: Path, emulator: Emulator
) -> None:
    write()
    run = ("batch", "run", "-c", config, "--input", "in.parquet", "--prompt", "{stars}")
    for url, code, said in (
        ("gs://bucket/out.csv", 2, "pip install 'oumi-fireworks[gcs]'"),
        ("ftp://127.0.0.1:1/out.csv", 2, "refused"),
    ):
        ended = fireworks(*run, "--output", url, "--overwrite")
        assert (ended.code, said in ended.err) == (code, True), ended.err
    assert not emulator.requests


def test_a_file_url_is_a_path(fireworks: Command, config: Path, tmp_path: Path) -> None:
    write()
    ended = fireworks(
        *("batch", "run", "-c", config, "--input", f"file://{tmp_path}/in.parquet"),
        *("--prompt", "{stars}", "--output", f"file://{tmp_path}/out.csv"),
    )
    assert ended.code == 0, ended.err
    assert len(Path("out.csv").read_text().splitlines()) == 4


def test_a_table_is_piped_in_and_rows_are_piped_out(fireworks: Command, config: Path) -> None:
    ended = fireworks(
        *("batch", "run", "-c", config, "--input", "-", "--output", "-"),
        *("--input-format", "csv", "--prompt", "{a}", "--output-format", "rows"),
        stdin=b"a,b\n1,x\n2,y\n",
    )
    assert ended.code == 0, ended.err
    assert [json.loads(line)["b"] for line in ended.out.splitlines()] == ["x", "y"]


def test_requests_for_openai_are_run_with_their_own_parameters(
    fireworks: Command, config: Path
) -> None:
    body = {"model": "gpt", "messages": [{"role": "user", "content": "Say a lot"}]}
    line = {"custom_id": "x", "url": "/v1/chat/completions", "body": {**body, "max_tokens": 1}}
    write_lines(Path("in.jsonl"), [line, line | {"custom_id": "y", "body": body}])
    ended = fireworks(
        *("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl"),
        *("--output-format", "openai"),
    )
    assert ended.code == 0, ended.err
    short, long = read_lines(Path("out.jsonl"))
    assert (short["custom_id"], long["custom_id"]) == ("x", "y")
    assert short["response"]["body"]["usage"]["completion_tokens"] == 1
    assert long["response"]["body"]["usage"]["completion_tokens"] > 1


def test_a_run_over_a_table_goes_on_and_refuses_another_one(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    pq.write_table(pa.table({"n": range(3000)}), "in.parquet", row_group_size=100)
    run = ("batch", "run", "-c", config, "--input", "in.parquet", "--output", "out.parquet")
    ask = ("--prompt", "{n}")
    at_emulator.faults.add(Fault(method="GET", path="batchInferenceJobs/", status=403))
    assert fireworks(*run, *ask).code == 1
    at_emulator.faults.clear()
    other = fireworks(*run, "--prompt", "{n}!")
    assert other.code == 2
    assert "out.parquet.run holds the unfinished batch" in other.err
    assert fireworks(*run, *ask).code == 0
    table = pq.read_table("out.parquet")
    assert table["n"].to_pylist() == list(range(3000))
    assert all(answer.endswith(f": {n}") for n, answer in enumerate(table["answer"].to_pylist()))
    assert len(at_emulator.ledger.jobs) == 1
