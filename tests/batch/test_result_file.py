"""Outcomes of rows that run online, written as the service would have written them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oumi_fireworks.batch.outcomes import Answer, Failure, parse_line
from oumi_fireworks.batch.requests import RowId
from oumi_fireworks.batch.result_file import ResultFile
from oumi_fireworks.errors import InvalidRequestError, MalformedAnswerError, SpoolError
from tests.disk import full_disk

COMPLETION = {"choices": [{"message": {"role": "assistant", "content": "a\u2028b"}}]}


@pytest.mark.parametrize("synced", [False, True])
def test_what_is_noted_is_read_as_the_service_s_own(tmp_path: Path, synced: bool) -> None:
    path = tmp_path / "online.jsonl"
    with ResultFile(path) as file:
        file.note(RowId(0, 7), COMPLETION, synced=synced)
        file.note(RowId(1), InvalidRequestError("too long", status=400), synced=synced)
        file.note(RowId(2, 9), MalformedAnswerError("cut off"), synced=synced)
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [parse_line(line, 3) for line in lines] == [
        Answer(0, COMPLETION, 7),
        Failure(1, "too long", "400"),
        Failure(2, "cut off", None, 9),
    ]


def test_a_full_disk_is_told_and_what_was_noted_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "online.jsonl"
    with ResultFile(path) as file:
        file.note(RowId(0), COMPLETION)
    whole = path.read_bytes()
    words = f"Cannot write {re.escape(str(path))}: File too large"
    with (
        full_disk(len(whole) + 10),
        ResultFile(path) as file,
        pytest.raises(SpoolError, match=words),
    ):
        file.note(RowId(1), COMPLETION)
    with ResultFile(path) as file:
        file.note(RowId(1), COMPLETION)
    assert path.read_bytes() == whole + whole.replace(b"request-0", b"request-1")
