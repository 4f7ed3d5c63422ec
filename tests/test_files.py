"""Files that are there as a whole or not at all, that only the user may read, and that grow."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from oumi_fireworks.errors import SpoolError, WriteError
from oumi_fireworks.files import (
    AppendedFile,
    cut_unfinished_line,
    make_private_folder,
    open_private,
    replacing,
    write_whole,
)
from tests.disk import full_disk

ADVICE = "Nothing is lost; make room and run it again."


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with replacing(path, advice=ADVICE) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["a"]


def test_an_interrupted_block_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")

    def write_half() -> None:
        with replacing(path, advice=ADVICE) as file:
            file.write(b"x" * (3 << 20))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", [WriteError, SpoolError])
def test_a_full_disk_is_told_with_the_file_and_what_to_do(
    tmp_path: Path, kind: type[WriteError]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with full_disk(2 << 20), pytest.raises(kind) as caught:
        write_whole(path, b"x" * (5 << 20), advice=ADVICE, error=kind)
    assert str(caught.value) == f"Cannot write {path}: File too large. {ADVICE}"
    assert type(caught.value) is kind
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a"]


def test_what_the_disk_refuses_at_the_very_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No space left on device"):
        write_whole(Path("/dev/full"), b"x", advice=ADVICE)


def test_a_folder_is_made_unless_something_is_in_its_way(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "folder" / "a", b"x", advice=ADVICE)
    with pytest.raises(WriteError, match=r"a/b: Not a directory\. Nothing is lost"):
        write_whole(tmp_path / "new" / "folder" / "a" / "b", b"x", advice=ADVICE)
    with pytest.raises(WriteError, match="Is a directory"):
        write_whole(tmp_path, b"x", advice=ADVICE)


def test_a_failure_of_something_else_inside_the_block_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a", advice=ADVICE):
        (tmp_path / "another").read_bytes()
    assert os.listdir(tmp_path) == []


def test_a_link_stays_one_and_its_target_is_written(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "target").write_bytes(b"before")
    for name, content in (("target", b"after"), ("dangling", b"new")):
        link = tmp_path / f"to-{name}"
        link.symlink_to(elsewhere / name)
        write_whole(link, content, advice=ADVICE)
        assert link.is_symlink()
        assert (elsewhere / name).read_bytes() == content
    assert sorted(os.listdir(elsewhere)) == ["dangling", "target"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o444])
def test_a_mode_is_kept_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    path.chmod(mode)
    with umask(0o077):
        write_whole(path, b"after", advice=ADVICE)
    assert (mode_of(path), path.read_bytes()) == (mode, b"after")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_a_new_file_has_what_the_umask_allows_and_a_private_one_is_private(
    tmp_path: Path, mask: int
) -> None:
    (tmp_path / "was-open").touch(0o644)
    with umask(mask):
        write_whole(tmp_path / "open", b"", advice=ADVICE)
        write_whole(tmp_path / "private", b"", advice=ADVICE, private=True)
        write_whole(tmp_path / "was-open", b"", advice=ADVICE, private=True)
        open_private(tmp_path / "stream").close()
        make_private_folder(tmp_path / "folder")
    assert mode_of(tmp_path / "open") == 0o666 & ~mask
    assert mode_of(tmp_path / "private") == mode_of(tmp_path / "was-open") == 0o600
    assert mode_of(tmp_path / "stream") == 0o600
    assert mode_of(tmp_path / "folder") == 0o700


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with umask(0o022):
        make_private_folder(tmp_path / "new" / "run")
        make_private_folder(tmp_path / "new" / "run" / "results" / "0")
    assert mode_of(tmp_path / "new" / "run" / "results") == 0o700
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o775)
    make_private_folder(tmp_path / "shared")
    assert mode_of(tmp_path / "shared") == 0o775
    assert mode_of(tmp_path / "new") == 0o755
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "file")


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"theirs")
    (tmp_path / ".a.part").symlink_to(victim)
    write_whole(tmp_path / "a", b"ours", advice=ADVICE)
    assert victim.read_bytes() == b"theirs"
    assert not (tmp_path / "a").is_symlink()
    (tmp_path / "b.part").symlink_to(victim)
    for append in (False, True):
        with pytest.raises(OSError, match="symbolic links"):
            open_private(tmp_path / "b.part", append=append)
    assert victim.read_bytes() == b"theirs"


def test_two_that_write_the_same_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def write_both() -> None:
        with replacing(path, advice=ADVICE) as first:
            first.write(b"first")
            with replacing(path, advice=ADVICE) as second:
                second.write(b"second")

    with pytest.raises(WriteError, match="another process writes the same file"):
        write_both()
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_without_content_can_be_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with replacing(path, advice=ADVICE, unless_empty=True):
        pass
    assert os.listdir(tmp_path) == []
    with replacing(path, advice=ADVICE, unless_empty=True) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"through", advice=ADVICE)
    reader.join(10)
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_name_of_any_length_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    write_whole(path, b"x", advice=ADVICE)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"whole\n", b"whole\n"),
        (b"whole\nhal", b"whole\n"),
        (b"hal", b""),
        (b"a\n" + b"x" * 200_000, b"a\n"),
    ],
)
def test_an_unfinished_line_is_cut_off_before_another_is_appended(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    path = tmp_path / "a"
    path.write_bytes(before)
    with AppendedFile(path) as file:
        file.append(b"next\n")
        assert path.read_bytes() == after + b"next\n"
        file.close()
        file.append(b"one more\n")
    assert path.read_bytes() == after + b"next\none more\n"
    assert cut_unfinished_line(path) == 0


def test_an_appended_file_is_private_and_made_with_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a"
    with AppendedFile(path) as file:
        assert not path.exists()
        file.append(b"x\n")
    assert mode_of(path) == 0o600
    assert cut_unfinished_line(tmp_path / "none") == 0
