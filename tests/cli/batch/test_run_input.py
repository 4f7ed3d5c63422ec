"""What ``batch run`` takes as its input, and the lines that it refuses."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import Command, asked, question, questions, read_lines, write_lines


def packed(kind: str, content: bytes) -> bytes:
    if kind == "gz":  # two members, as `cat a.gz b.gz` makes them
        half = len(content) // 2
        return gzip.compress(content[:half], mtime=0) + gzip.compress(content[half:])
    if kind == "zst":
        half = len(content) // 2
        return zstandard.compress(content[:half]) + zstandard.compress(content[half:])
    return content


@pytest.mark.parametrize("kind", ["plain", "gz", "zst"])
@pytest.mark.parametrize("piped", [False, True])
def test_input_may_be_packed_and_piped(
    fireworks: Command, config: Path, kind: str, piped: bool
) -> None:
    content = questions(Path("plain.jsonl"), 20).read_bytes()
    Path("input").write_bytes(packed(kind, content))
    source = "-" if piped else "input"
    stdin = Path("input").read_bytes() if piped else None
    ended = fireworks(
        "batch", "run", "-c", config, "--input", source, "--output", "out.jsonl", stdin=stdin
    )
    assert ended.code == 0, ended.err
    assert asked(Path("out.jsonl")) == [f"Number {index}?" for index in range(20)]


@pytest.mark.parametrize(
    "inputs",
    [
        ["--input", "data/*.jsonl"],
        ["--input", "data/a.jsonl", "--input", "data/b.jsonl"],
        ["--input", "data/a.jsonl", "data/b.jsonl"],
        ["--input", "**/a.jsonl", "--input", "data/*"],
    ],
)
def test_input_may_be_several_files(fireworks: Command, config: Path, inputs: list[str]) -> None:
    Path("data").mkdir()
    write_lines(Path("data/b.jsonl"), [question("b")])
    write_lines(Path("data/a.jsonl"), [question("a"), b"", b"  \t", question("a2")])
    ended = fireworks("batch", "run", "-c", config, *inputs, "--output", "out.jsonl")
    assert ended.code == 0, ended.err
    assert asked(Path("out.jsonl")) == ["a", "a2", "b"]


def test_a_pattern_does_not_stand_for_the_output(fireworks: Command, config: Path) -> None:
    questions(Path("in.jsonl"), 1)
    arguments = ["batch", "run", "-c", config, "--input", "*.jsonl", "--output", "out.jsonl"]
    fireworks(*arguments)
    assert fireworks(*arguments, "--overwrite").code == 0
    assert len(read_lines(Path("out.jsonl"))) == 1


BAD_LINES: list[tuple[bytes, str]] = [
    (b'{"messages": [', "not JSON (EOF while parsing"),
    (b'{"messages": [{"role": "user", "content": "\xff"}]}', "not JSON (invalid unicode"),
    (b"[1, 2]", "not a JSON object"),
    (b'{"prompt": "hi"}', "no messages"),
    (b'{"messages": []}', "has no messages"),
    (b'{"messages": [{"role": "bananas", "content": "x"}]}',
     "message 0: unknown role 'bananas' (system, user, assistant, tool)"),
    (b'{"messages": [{"role": "user"}]}', "message 0: Message must have at least one of"),
    (b'{"messages": [{"role": "tool", "content": "x"}]}', "needs the tool_call_id"),
    (b'{"conversation_id": "one", "messages": [{"role": "user", "content": "x"}]}',
     "the conversation_id 'one' occurs before"),
    (b'{"conversation_id": 7, "messages": [{"role": "user", "content": "x"}]}',
     "conversation_id: Input should be a valid string"),
    (b'{"messages": [{"role": "user", "content": [{"type": "image_path", "content": "no.png"}]}]}',
     "there is no image file 'no.png'"),
]  # fmt: skip


def test_bad_lines_are_named_all_at_once_before_anything_is_uploaded(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    good = question("good", conversation_id="one")
    write_lines(Path("in.jsonl"), [good, *(line for line, _ in BAD_LINES)])
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert ended.code == 1
    assert f"{len(BAD_LINES)} lines cannot be sent:" in ended.err
    assert "leave them out with --skip-bad" in ended.err
    for number, (_, message) in enumerate(BAD_LINES, 2):
        (line,) = [line for line in ended.err.splitlines() if f"in.jsonl:{number}: " in line]
        assert message in line
    assert not at_emulator.jobs
    assert not at_emulator.datasets
    assert not list(Path().glob("out.jsonl*"))


def test_the_twentieth_bad_line_is_the_last_that_is_named(fireworks: Command, config: Path) -> None:
    write_lines(Path("in.jsonl"), [b"{"] * 1000)
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert "20 lines, and maybe more, cannot be sent:" in ended.err
    assert "in.jsonl:20:" in ended.err
    assert "in.jsonl:21:" not in ended.err


def test_bad_lines_can_be_left_out_and_are_written_down(fireworks: Command, config: Path) -> None:
    first = question("first", conversation_id="one")
    rows = [first, *(line for line, _ in BAD_LINES), question("last")]
    write_lines(Path("in.jsonl"), rows)
    ended = fireworks(
        "batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl", "--skip-bad"
    )
    assert ended.code == 3
    assert asked(Path("out.jsonl")) == ["first", "last"]
    left_out = read_lines(Path("out.jsonl.errors.jsonl"))
    assert [row["line"] for row in left_out] == list(range(2, len(BAD_LINES) + 2))
    assert {row["file"] for row in left_out} == {"in.jsonl"}
    assert {row["index"] for row in left_out} == {None}
    assert {row["error"]["kind"] for row in left_out} == {"bad line"}
    assert all(
        message in row["error"]["message"]
        for row, (_, message) in zip(left_out, BAD_LINES, strict=True)
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b'{"messages": []}\n' * 100, mtime=0)[:-20], "Cannot read in.jsonl"),
        (zstandard.compress(b'{"messages": []}\n' * 100)[:-5], "cut short"),
        (b"\x28\xb5\x2f\xfd damaged", "is damaged"),
    ],
)
def test_a_packed_input_that_is_cut_or_damaged_is_not_taken_for_its_beginning(
    fireworks: Command, config: Path, content: bytes, message: str
) -> None:
    Path("in.jsonl").write_bytes(content)
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert ended.code == 2
    assert message in ended.err


def test_an_input_that_changes_while_the_batch_runs_gets_no_one_elses_answers(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    original = questions(Path("in.jsonl"), 3).read_bytes()

    def edit_input(_job: object, rows: list[dict[str, object]]) -> dict[str, bytes]:
        questions(Path("in.jsonl"), 4)
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        return {"BIJOutputSet.jsonl": lines}

    at_emulator.output_writer = edit_input
    arguments = ["batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl"]
    ended = fireworks(*arguments)
    assert ended.code == 2
    assert "has changed while the batch ran" in ended.err
    assert not Path("out.jsonl").exists()
    Path("in.jsonl").write_bytes(original)
    assert fireworks(*arguments).code == 0
    assert len(read_lines(Path("out.jsonl"))) == 3
    assert len(at_emulator.jobs) == 1
