"""Files that are not JSON Lines are named for what they are."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
from pathlib import Path

import pytest
import zstandard

from oumi_fireworks.errors import InputError
from oumi_fireworks.tables import InputFile, read_lines

LINE = b'{"messages": [{"role": "user", "content": "a, b; c"}]}\n'


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jsonl", LINE)
    return packed.getvalue()


FOREIGN = {
    "UTF-16 text": LINE.decode().encode("utf-16"),
    "UTF-16 text; save it as UTF-8": LINE.decode().encode("utf-16-le"),
    "UTF-16": LINE.decode().encode("utf-16-be"),
    "packed with bzip2": bz2.compress(LINE),
    "packed with xz": lzma.compress(LINE),
    "a zip archive": zipped(),
    "a Parquet file": b"PAR1\x15\x04\x15",
    "CSV": b'id,"the prompt"\n1,hello\n',
    "CSV; say --input-format csv": zstandard.compress(b"\xef\xbb\xbfid\tprompt\r\n1\thello\r\n"),
    "one JSON array": b"[\n" + LINE + b"]",
}


@pytest.mark.parametrize(("said", "content"), FOREIGN.items(), ids=FOREIGN)
def test_what_a_file_is_is_said(tmp_path: Path, said: str, content: bytes) -> None:
    path = tmp_path / "in"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^in.jsonl is not JSON Lines: it is {said}"):
        list(read_lines([InputFile(path, "in.jsonl")]))


@pytest.mark.parametrize("content", [LINE, b"\n " + LINE, b"", b"hello", b"{", b"\x00", b"a b c"])
def test_what_may_be_json_lines_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in"
    path.write_bytes(content)
    assert len(list(read_lines([InputFile(path, "in")]))) == bool(content)
