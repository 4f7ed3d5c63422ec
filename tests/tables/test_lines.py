"""The lines of files, plain or packed."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.errors import InputError
from oumi_fireworks.tables import InputFile, read_lines
from oumi_fireworks.tables.lines import LONGEST_LINE_BYTES, _ZstdReader


def lines_of(tmp_path: Path, content: bytes) -> list[tuple[int, bytes]]:
    path = tmp_path / "lines"
    path.write_bytes(content)
    return [(place.number, line) for place, line in read_lines([InputFile(path, "lines")])]


def test_lines_end_with_a_newline_alone(tmp_path: Path) -> None:
    separators = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg".encode()
    assert lines_of(tmp_path, separators + b"\nlast") == [(1, separators), (2, b"last")]


def test_blank_lines_count_and_are_left_out(tmp_path: Path) -> None:
    assert lines_of(tmp_path, b"\n  \none\r\n\t\ntwo\n\n") == [(3, b"one"), (5, b"two")]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert lines_of(tmp_path, b"\xef\xbb\xbf{}\n{}") == [(1, b"{}"), (2, b"{}")]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("content", [b"", b"x", b"(", b"a\n" * 3])
def test_packing_is_told_by_the_content(tmp_path: Path, pack: type[bytes], content: bytes) -> None:
    assert lines_of(tmp_path, pack(content)) == lines_of(tmp_path, content)


@given(st.lists(st.binary(max_size=5000), max_size=5), st.integers(1, 3000))
def test_zstandard_frames_one_after_another_are_one_stream(parts: list[bytes], size: int) -> None:
    import io

    reader = _ZstdReader(io.BytesIO(b"".join(zstandard.compress(part) for part in parts)))
    chunks = iter(lambda: reader.read(size), b"")
    assert b"".join(chunks) == b"".join(parts)


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_a_zstandard_stream_that_is_cut_is_never_taken_for_its_beginning(
    content: bytes, data: st.DataObject
) -> None:
    import io

    packed = zstandard.compress(content)
    cut = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(EOFError):
        _ZstdReader(io.BytesIO(packed[:cut])).readall()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read nowhere: No such file"):
        list(read_lines([InputFile(tmp_path / "nowhere", "nowhere")]))
    path = tmp_path / "cut"
    path.write_bytes(gzip.compress((b"{}" + b" " * 1000 + b"\n") * 1500)[:-9])
    with pytest.raises(InputError, match=r"Cannot read cut after line \d+: Compressed file ended"):
        list(read_lines([InputFile(path, "cut")]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_line_that_is_too_long_is_named_and_costs_no_more_memory_than_the_bound(
    tmp_path: Path, pack: type[bytes]
) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(pack(b"{}\n" + b" " * (3 * LONGEST_LINE_BYTES)))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"^bomb:2: this line is longer than 64 MiB.*JSON L"):
            list(read_lines([InputFile(path, "bomb")]))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * LONGEST_LINE_BYTES


def test_a_line_may_be_as_long_as_the_bound(tmp_path: Path) -> None:
    [(number, line)] = lines_of(tmp_path, b"x" * (LONGEST_LINE_BYTES - 1) + b"\n")
    assert (number, len(line)) == (1, LONGEST_LINE_BYTES - 1)
