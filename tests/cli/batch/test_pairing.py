"""``batch results``: answers go beside the lines that were sent, and beside no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import Command, question, read_lines, submit, write_lines

PNG = b"\x89PNG\r\n\x1a\n..."


def about(picture: str) -> dict[str, Any]:
    """A question about a picture."""
    content = [
        {"type": "image_path", "content": picture},
        {"type": "text", "content": f"[[echo]] What is {picture}?"},
    ]
    return {"messages": [{"role": "user", "content": content}]}


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Names of pictures; the second one is none."""
    for name, content in (("a", PNG), ("b", b"no picture"), ("c", PNG), ("d", PNG)):
        (tmp_path / f"{name}.png").write_bytes(content)
    return [f"{name}.png" for name in "abcd"]


def submitted(
    fireworks: Command, config: Path, emulator: Emulator, lines: list[Any], *options: str
) -> str:
    write_lines(Path("in.jsonl"), lines)
    ended = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl", *options)
    assert ended.code == 0, ended.err
    emulator.clock.advance(3600)
    return ended.out.strip()


def test_lines_in_another_order_are_refused(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    lines = [question("zero"), question("one"), question("two")]
    batch = submitted(fireworks, config, at_emulator, lines)
    write_lines(Path("in.jsonl"), [lines[0], lines[2], lines[1]])
    ended = fireworks("batch", "results", batch, "-i", "in.jsonl", "-o", "o.jsonl")
    assert ended.code == 2
    assert "in.jsonl:2 is not what was sent as row 1" in ended.err
    assert not Path("o.jsonl").exists()


def test_what_submit_left_out_is_known_whatever_becomes_of_the_pictures(
    fireworks: Command, config: Path, at_emulator: Emulator, pictures: list[str]
) -> None:
    lines = [b"{", *map(about, pictures), question("five"), question("five")]
    batch = submitted(fireworks, config, at_emulator, lines, "--skip-bad")
    Path("c.png").unlink()  # was sent, and could not be sent today
    Path("b.png").write_bytes(PNG)  # was not sent, and could be sent today
    ended = fireworks("batch", "results", batch, "-i", "in.jsonl", "-o", "o.jsonl")
    assert ended.code == 3, ended.err  # lines were left out
    for row in read_lines(Path("o.jsonl")):
        asked, answered = (message["content"] for message in row["messages"])
        if isinstance(asked, list):
            assert asked[0]["content"] in answered
    asked = [row["messages"][0]["content"] for row in read_lines(Path("o.jsonl"))]
    names = [each[0]["content"] for each in asked if isinstance(each, list)]
    assert names == ["a.png", "c.png", "d.png"]
    left_out = read_lines(Path("o.jsonl.errors.jsonl"))
    assert [(line["file"], line["line"]) for line in left_out] == [("in.jsonl", 1), ("in.jsonl", 3)]
    assert "left out when the batch was submitted" in left_out[1]["error"]["message"]


def test_a_row_in_no_result_file_does_not_shift_the_others(
    fireworks: Command, config: Path, at_emulator: Emulator, pictures: list[str]
) -> None:
    lines = [*map(about, pictures), question("four [[drop]]"), question("five")]
    batch = submitted(fireworks, config, at_emulator, lines, "--skip-bad")
    ended = fireworks("batch", "results", batch, "-i", "in.jsonl", "-o", "o.jsonl")
    assert ended.code == 3
    assert len(read_lines(Path("o.jsonl"))) == 4
    kinds = {
        (line["index"], line.get("line")): line["error"]["kind"]
        for line in read_lines(Path("o.jsonl.errors.jsonl"))
    }
    assert kinds == {(None, 2): "bad line", (3, None): "missing"}


def test_an_input_that_cannot_be_it_says_which_row_is_not_there(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    batch = submitted(fireworks, config, at_emulator, [question("zero"), question("one")])
    write_lines(Path("in.jsonl"), [question("zero"), question("new"), question("newer")])
    ended = fireworks("batch", "results", batch, "-i", "in.jsonl", "-o", "o.jsonl")
    assert ended.code == 2
    assert "what was sent as row 1 of batch" in ended.err


def test_another_client_s_batch_is_compared_with_its_input(
    fireworks: Command, at_emulator: Emulator
) -> None:
    batch = submit(at_emulator, ["zero", "one"])
    at_emulator.clock.advance(3600)
    write_lines(Path("in.jsonl"), [question("zero"), question("one")])
    write_lines(Path("swapped.jsonl"), [question("one"), question("zero")])
    good = fireworks("batch", "results", batch, "-i", "in.jsonl")
    assert (good.code, len(good.out.splitlines())) == (0, 2)
    swapped = fireworks("batch", "results", batch, "-i", "swapped.jsonl")
    assert (swapped.code, swapped.out) == (2, "")
    assert "swapped.jsonl:1 is not what was sent as row 0" in swapped.err
    at_emulator.faults.add(Fault("GET", "-in:getDownloadEndpoint$", status=404, times=None))
    refused = fireworks("batch", "results", batch, "-i", "in.jsonl")
    assert refused.code == 2
    assert "--unchecked" in refused.err
    assert fireworks("batch", "results", batch, "-i", "in.jsonl", "--unchecked").out == good.out
