"""Where a command writes: tried before anything is sent, and ~ is the home folder everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import CONFIG, Command, question, read_lines, write_lines

LONG = "n" * 240 + ".jsonl"  # too long only with what is appended


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--output", LONG], f"Cannot write {LONG}.errors.jsonl: File name too long."),
        (["--output", "file/out.jsonl"], "Cannot write file/out.jsonl: "),
        (["--output", "out.jsonl", "--report", f"{LONG * 2}.html"], "File name too long."),
        (["--output", "out.jsonl", "--report", "file/r.html"], "Cannot write file/r.html: "),
    ],
)
def test_what_cannot_be_written_is_found_out_before_anything_is_sent(
    fireworks: Command, config: Path, at_emulator: Emulator, arguments: list[str], named: str
) -> None:
    write_lines(Path("in.jsonl"), [question("a")])
    Path("file").write_text("no folder")
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", *arguments)
    assert ended.code == 2
    assert named in ended.err
    assert not at_emulator.requests
    assert {path.name for path in Path().iterdir()} == {"in.jsonl", "file", "config.yaml"}


def test_a_tilde_is_the_home_folder_in_every_path(
    fireworks: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "config.yaml").write_text(
        f"{CONFIG}      run_dir: ~/runs\ninput_path: ~/in.jsonl\noutput_path: ~/out.jsonl\n"
    )
    write_lines(home / "in.jsonl", [question("a")])
    ended = fireworks("batch", "run", "-c", "~/config.yaml", "--report=~/r.html")
    assert ended.code == 0, ended.err
    assert len(read_lines(home / "out.jsonl")) == 1
    assert (home / "r.html").exists()
    assert (home / "runs").exists()
    again = fireworks("batch", "run", "-c", "~/config.yaml", "--output=~/second.jsonl")
    assert again.code == 0, again.err
    assert (home / "second.jsonl").exists()
    assert fireworks("batch", "report", "~/out.jsonl", "--output=~/p.html").code == 0
    assert (home / "p.html").exists()
    assert not Path("~").exists()
