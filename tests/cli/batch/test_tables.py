"""Tables in and tables out, on the command line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.cli.batch.support import CONFIG, Command, read_lines

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
