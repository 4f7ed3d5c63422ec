"""What a file is that is not JSON Lines, told by its first bytes."""

from __future__ import annotations

import re

SIGNATURE_BYTES = 1 << 10
"""Bytes that are enough to tell."""

_SIGNATURES = (
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
    (b"BZh", "packed with bzip2; unpack it, or pack it with gzip or zstd"),
    (b"\xfd7zXZ\0", "packed with xz; unpack it, or pack it with gzip or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"PK\x03\x04", "a zip archive (an Excel file is one, too); unpack it first"),
    (b"PAR1", "a Parquet file; say --input-format parquet"),
    (b"ARROW1", "an Arrow file; say --input-format arrow"),
    (b"SQLite format 3\0", "an SQLite database; write it as JSON Lines"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture; pictures are parts of conversations"),
    (b"\xff\xd8\xff", "a picture; pictures are parts of conversations"),
)
_UTF_16 = re.compile(rb"\s?\0?[{\[\"]\0|\0[{\[\"]")
_HEADER = re.compile(rb'[\w" .-]+([,;\t])[\w" .-]*(?:\1[\w" .-]*)*\r?')


def foreign_format(start: bytes) -> str | None:
    """Return what a file is, and what to do, if it is clearly not JSON Lines.

    Args:
        start: The file's first bytes, unpacked, :data:`SIGNATURE_BYTES` of them.
    """
    for signature, said in _SIGNATURES:
        if start.startswith(signature):
            return said
    if _UTF_16.match(start):
        return "UTF-16 text; save it as UTF-8"
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0]
    if first.startswith(b"["):
        return "one JSON array; JSON Lines has one object a line (jq -c '.[]' makes it so)"
    if _HEADER.fullmatch(first):
        return "CSV; say --input-format csv, or call it .csv"
    return None
