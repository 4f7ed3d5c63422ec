"""The answer cache: what is kept is found, by several processes, after a kill, until it is old."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.api.request_json import encode_request, on_one_line
from oumi_fireworks.batch.requests import Request, encode_body
from oumi_fireworks.cache import AnswerCache, clear_cache, key_of, key_of_body, stats_of
from oumi_fireworks.cache.database import database_path
from oumi_fireworks.completions import ANSWERED_BY
from oumi_fireworks.errors import AnswerCacheError

MODEL = "accounts/fireworks/models/toy-chat"


def completion(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


def keep(folder: Path, **answers: str) -> None:
    cache = AnswerCache(folder)
    found = [(key_of(MODEL, name.encode()), completion(text)) for name, text in answers.items()]
    assert cache.keep(MODEL, found) == len(answers)
    cache.close()


def find(folder: Path, name: str, max_age: timedelta | None = None) -> str | None:
    cache = AnswerCache(folder, max_age)
    found = cache.find(key_of(MODEL, name.encode()))
    cache.close()
    if found is None:
        return None
    assert found[ANSWERED_BY] == "cache"
    return str(found["choices"][0]["message"]["content"])


def test_what_is_kept_is_found_and_a_later_answer_replaces_it(tmp_path: Path) -> None:
    keep(tmp_path / "c", a="1", b="2")
    keep(tmp_path / "c", a="3 \ud800 \u2028")
    assert find(tmp_path / "c", "a") == "3 \ud800 \u2028"
    assert find(tmp_path / "c", "b") == "2"
    assert find(tmp_path / "c", "c") is None
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700
    assert database_path(tmp_path / "c").stat().st_mode & 0o777 == 0o600


def age(folder: Path, by: timedelta) -> None:
    """Let all answers of a cache be older."""
    with sqlite3.connect(database_path(folder)) as database:
        database.execute("UPDATE answers SET made = made - ?", (by.total_seconds(),))
    database.close()


def test_an_answer_that_is_too_old_is_not_given_out(tmp_path: Path) -> None:
    keep(tmp_path, a="1")
    age(tmp_path, timedelta(days=3))
    assert find(tmp_path, "a", timedelta(days=4)) == "1"
    assert find(tmp_path, "a", timedelta(days=2)) is None


def test_clearing_removes_what_is_older_and_says_how_much(tmp_path: Path) -> None:
    keep(tmp_path, a="1", b="2")
    age(tmp_path, timedelta(days=3))
    keep(tmp_path, c="3")
    before = stats_of(tmp_path)
    assert (before.answers, before.models) == (3, {MODEL: 3})
    assert before.oldest is not None
    assert before.oldest < datetime.now(UTC) - timedelta(days=2)
    assert clear_cache(tmp_path, datetime.now(UTC) - timedelta(days=1)) == 2
    assert stats_of(tmp_path).answers == 1
    assert clear_cache(tmp_path) == 1
    assert stats_of(tmp_path).oldest is None


def test_there_has_to_be_a_cache_to_look_at(tmp_path: Path) -> None:
    for look in (stats_of, clear_cache):
        with pytest.raises(AnswerCacheError, match="There is no answer cache in"):
            look(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_what_is_no_cache_is_refused_at_once(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        with sqlite3.connect(database_path(tmp_path)) as database:
            database.execute("PRAGMA user_version = 7")
        database.close()
    else:
        database_path(tmp_path).write_bytes(content)
    with pytest.raises(AnswerCacheError, match="Name another folder"):
        AnswerCache(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("")
    with pytest.raises(AnswerCacheError, match="Nothing was sent"):
        AnswerCache(tmp_path / "c")


def test_threads_share_a_cache(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)

    def work(name: int) -> None:
        for row in range(50):
            key = key_of(MODEL, f"{name}/{row}".encode())
            cache.keep(MODEL, [(key, completion(str(row)))])
            assert cache.find(key) is not None

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache.close()
    assert stats_of(tmp_path).answers == 200


WRITER = """
import sys
from pathlib import Path
from oumi_fireworks.cache import AnswerCache, key_of
cache = AnswerCache(Path(sys.argv[1]))
completion = {"choices": [{"message": {"role": "assistant", "content": "x" * 1000}}]}
for row in range(int(sys.argv[3])):
    cache.keep("m", [(key_of("m", f"{sys.argv[2]}/{row}".encode()), completion)])
    print(row, flush=True)
"""


def writer(folder: Path, name: str, rows: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(rows)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_share_a_cache_and_one_that_is_killed_damages_nothing(tmp_path: Path) -> None:
    writers = [writer(tmp_path, name, 150) for name in "ab"]
    doomed = writer(tmp_path, "c", 10_000)
    assert doomed.stdout is not None
    said = [doomed.stdout.readline() for _ in range(40)]
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate()
    for each in writers:
        each.communicate()
        assert each.returncode == 0
    cache = AnswerCache(tmp_path)
    for name, rows in (("a", 150), ("b", 150), ("c", len(said))):
        for row in range(rows):
            assert cache.find(key_of("m", f"{name}/{row}".encode())) is not None, (name, row)
    cache.close()


BODIES = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.text(max_size=20) | st.integers() | st.booleans(),
    max_size=4,
)


@given(BODIES, st.integers(0, 10**9))
def test_a_row_has_the_same_key_online_and_in_a_batch(body: dict[str, Any], index: int) -> None:
    encoded = encode_body(Request(index, body, 5))
    assert encoded == on_one_line(encode_request(body))
    online = {"model": MODEL, **body, "stream": True}
    assert key_of_body(MODEL, online) == key_of_body(MODEL, body | {"model": "other"})
    without = {name: value for name, value in body.items() if name not in ("model", "stream")}
    if without == body:
        assert key_of(MODEL, encoded) == key_of_body(MODEL, online)


def test_another_model_or_another_byte_is_another_key() -> None:
    body = {"messages": [], "temperature": 0}
    keys = {
        key_of_body(MODEL, body),
        key_of_body(MODEL + "x", body),
        key_of_body(MODEL, body | {"temperature": 0.0}),
        key_of_body(MODEL, body | {"seed": None}),
    }
    assert len(keys) == 4
