"""Which files an input is made of."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from oumi_fireworks.errors import InputError
from oumi_fireworks.tables import InputFile, find_files
from oumi_fireworks.tables.files import spool_stdin


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep/er").mkdir(parents=True)
    for name in ("b.jsonl", "a.jsonl", "deep/c.jsonl", "deep/er/d.jsonl", "odd[1].jsonl"):
        Path(name).touch()


def names(*arguments: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    return [file.name for file in find_files(arguments, [Path(each) for each in leave_out])]


def test_files_come_in_the_order_of_the_arguments_and_patterns_by_name() -> None:
    assert names("deep/c.jsonl", "?.jsonl") == ["deep/c.jsonl", "a.jsonl", "b.jsonl"]
    assert names("**/*.jsonl") == [
        "a.jsonl", "b.jsonl", "deep/c.jsonl", "deep/er/d.jsonl", "odd[1].jsonl",
    ]  # fmt: skip


def test_a_name_that_looks_like_a_pattern_is_a_name_when_there_is_such_a_file() -> None:
    assert names("odd[1].jsonl") == ["odd[1].jsonl"]


def test_a_file_named_twice_is_read_once() -> None:
    assert names("b.jsonl", "*.jsonl", "./b.jsonl") == ["b.jsonl", "a.jsonl", "odd[1].jsonl"]


def test_what_is_left_out_is_left_out_of_patterns_and_refused_by_name() -> None:
    assert names("?.jsonl", leave_out=("b.jsonl",)) == ["a.jsonl"]
    with pytest.raises(InputError, match="both an input and the output"):
        names("b.jsonl", leave_out=("b.jsonl",))
    with pytest.raises(InputError, match="No file matches"):
        names("b*", leave_out=("b.jsonl",))


class Pipe(io.BytesIO):
    """Standard input."""


class Terminal(io.BytesIO):
    """Standard input with nobody who pipes."""

    def isatty(self) -> bool:
        return True


def spool(stream: io.BytesIO, *, keep: bool = False) -> bytes:
    file = InputFile.piped(Path("run/stdin"))
    spool_stdin(stream, file, keep=keep)
    assert [path.name for path in Path("run").iterdir()] == ["stdin"]
    return file.path.read_bytes()


def test_standard_input_is_kept_on_the_disk() -> None:
    assert spool(Pipe(b"one")) == b"one"
    assert spool(Pipe(b"two")) == b"two"
    assert spool(Pipe(b"")) == b"two"
    assert spool(Terminal()) == b"two"


def test_nothing_piped_in_and_nothing_kept_is_an_error_on_a_terminal_and_empty_in_a_pipe() -> None:
    with pytest.raises(InputError, match="Nothing is piped"):
        spool(Terminal())
    assert spool(Pipe(b"")) == b""


def test_what_an_unfinished_run_needs_is_not_replaced() -> None:
    spool(Pipe(b"one"))
    assert spool(Pipe(b"one"), keep=True) == b"one"
    with pytest.raises(InputError, match="not what the unfinished run was begun with"):
        spool(Pipe(b"two"), keep=True)
    assert spool(Terminal(), keep=True) == b"one"
