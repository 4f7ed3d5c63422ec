"""The scratch file: nothing finished is lost, nothing torn is read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import jsonlines
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.files import cut_unfinished_line
from oumi_fireworks.online import ScratchFile
from tests.online.conftest import CHAT

ROOT = Path(__file__).parents[2]

ROW = {"conversation_id": "a", "messages": [{"content": "ä\u2028\n\x00𝄞", "role": "user"}]}


def read(path: Path) -> list[Any]:
    """Read the file as Oumi does."""
    with jsonlines.open(path) as reader:
        return list(reader)


def test_oumi_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "scratch.jsonl"
    with ScratchFile(path) as scratch:
        for number in range(3):
            scratch.write({**ROW, "number": number})
    assert read(path) == [{**ROW, "number": number} for number in range(3)]


def test_no_row_no_file(tmp_path: Path) -> None:
    with ScratchFile(tmp_path / "scratch.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_each_row_is_there_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "scratch.jsonl"
    scratch = ScratchFile(path)
    for number in range(3):
        scratch.write({"number": number})
        assert len(read(path)) == number + 1
    scratch.close()


def test_it_appends_to_what_an_earlier_run_left(tmp_path: Path) -> None:
    path = tmp_path / "scratch.jsonl"
    for number in range(2):
        with ScratchFile(path) as scratch:
            scratch.write({"number": number})
    assert [row["number"] for row in read(path)] == [0, 1]


def test_it_does_not_append_to_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "scratch.jsonl"
    path.write_bytes(b'{"number": 0}\n{"numb')
    with ScratchFile(path) as scratch:
        scratch.write({"number": 1})
    assert [row["number"] for row in read(path)] == [0, 1]


@pytest.mark.parametrize(
    ("odd", "read_back"),
    [
        ({"n": 2**80}, {"n": 2**80}),
        ({1: "a number as a key"}, {"1": "a number as a key"}),
        ({"text": "half a pair: \ud83d"}, {"text": "half a pair: ?"}),
    ],
)
def test_what_is_odd_is_written_all_the_same(
    tmp_path: Path, odd: dict[Any, Any], read_back: dict[str, Any]
) -> None:
    path = tmp_path / "scratch.jsonl"
    with ScratchFile(path) as scratch:
        scratch.write(odd)
    assert read(path) == [read_back]


def test_repair_of_nothing(tmp_path: Path) -> None:
    assert cut_unfinished_line(tmp_path / "missing.jsonl") == 0
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert cut_unfinished_line(empty) == 0


def test_repair_finds_the_end_of_a_long_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "scratch.jsonl"
    torn = b'{"text": "' + b"x" * 300_000
    path.write_bytes(b"{}\n" + torn)
    assert cut_unfinished_line(path) == len(torn)
    assert path.read_bytes() == b"{}\n"


@given(
    # Oumi reads its scratch file with orjson, to which a longer number is a fraction.
    rows=st.lists(
        st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**64 - 1)), max_size=5
    ),
    cut=st.data(),
)
def test_a_kill_at_any_byte_costs_the_unfinished_row_only(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], cut: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("scratch") / "scratch.jsonl"
    with ScratchFile(path) as scratch:
        for row in rows:
            scratch.write(row)
    whole = path.read_bytes() if rows else b""
    length = cut.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:length])
    finished = whole[:length].count(b"\n")
    cut_unfinished_line(path)
    assert read(path) == json.loads(json.dumps(rows))[:finished]


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no SIGKILL")
def test_a_killed_run_goes_on_where_it_was(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "scratch.jsonl"
    code = """
        import asyncio, json, os, pathlib, signal, sys
        from oumi_fireworks.online import Pump, PumpSettings, ScratchFile
        from oumi_fireworks.files import cut_unfinished_line
        from tests.online.conftest import request

        url, key, path, fatal = sys.argv[1:]
        cut_unfinished_line(path)
        lines = pathlib.Path(path).read_text().splitlines() if os.path.exists(path) else []
        finished = {json.loads(line)["index"] for line in lines}
        rows = [(i, request(f"[[echo]] {i}")) for i in range(60) if i not in finished]

        async def run():
            pump = Pump(PumpSettings(
                url=url, headers={"Authorization": "Bearer " + key}, workers=4
            ))
            with ScratchFile(path) as scratch:
                def take(index, completion):
                    answer = completion["choices"][0]["message"]["content"]
                    scratch.write({"index": index, "answer": answer})
                    if len(finished) + len(rows) > 60 - int(fatal) and index == int(fatal):
                        os.kill(os.getpid(), signal.SIGKILL)
                await pump.run(rows, take)
            await pump.close()

        asyncio.run(run())
    """

    def run(fatal: int) -> int:
        url = f"{emulator.url}/inference/v1/chat/completions"
        arguments = [url, emulator.api_key, str(path), str(fatal)]
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            cwd=ROOT,
            timeout=60,
        ).returncode

    assert run(fatal=30) == -signal.SIGKILL
    left = len(read(path))
    assert 20 <= left < 60
    assert run(fatal=-1) == 0
    assert sorted(row["index"] for row in read(path)) == list(range(60))
    assert all(row["answer"] == f"[[echo]] {row['index']}" for row in read(path))
    assert len(emulator.requests_to("POST", CHAT)) <= 60 + 4
