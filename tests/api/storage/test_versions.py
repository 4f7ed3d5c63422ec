"""Files in signed storage that change while they are fetched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oumi_fireworks.api.versions import FileVersion
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import ConnectionFailedError, StorageError
from tests.api.storage.support import (
    CONTENT,
    STORED,
    crc32c,
    get,
    get_from,
    leave,
    one_answer,
    ranges,
)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"ETag": '"a"'}, {"ETag": '"b"'}),
        ({"x-goog-generation": "1"}, {"x-goog-generation": "2"}),
        ({"x-goog-hash": f"crc32c={crc32c(b'other file')}"}, {}),
        ({}, {"ETag": '"b"'}),
    ],
    ids=["etag", "generation", "hash", "unknown-before"],
)
@pytest.mark.parametrize("takes_range", [True, False], ids=["range", "no-range"])
def test_a_part_never_goes_on_with_the_bytes_of_another_version(
    emulator: Emulator,
    tmp_path: Path,
    before: dict[str, str],
    now: dict[str, str],
    takes_range: bool,
) -> None:
    headers = {"x-goog-hash": f"crc32c={crc32c(b'whole file')}", **now}
    if takes_range:
        extent = {**headers, "Content-Range": "bytes 5-9/10"}
        emulator.faults.add(Fault(path=STORED, status=206, body=" file", headers=extent))
    emulator.faults.add(
        Fault(path=STORED, status=200, body="whole file", headers=headers, times=None)
    )
    leave(
        tmp_path / "back",
        b"other",
        FileVersion(
            10,
            before.get("ETag", ""),
            before.get("x-goog-generation", ""),
            before.get("x-goog-hash", ""),
        ),
    )
    url = f"{emulator.url}/storage/x"
    assert get_from(emulator, url, tmp_path / "back") == b"whole file"


@pytest.mark.parametrize("kind", ["no version", "broken version", "link"])
def test_a_part_of_unknown_origin_is_thrown_away(
    stored: Emulator, tmp_path: Path, kind: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"theirs")
    leave(tmp_path / "back", CONTENT[:10], FileVersion(len(CONTENT)))
    match kind:
        case "no version":
            (tmp_path / "back.part.version").unlink()
        case "broken version":
            (tmp_path / "back.part.version").write_bytes(b"{")
        case "link":
            (tmp_path / "back.part").unlink()
            (tmp_path / "back.part").symlink_to(victim)
    assert get(stored, tmp_path / "back") == CONTENT
    assert ranges(stored) == [None]
    assert victim.read_bytes() == b"theirs"
    assert not (tmp_path / "back").is_symlink()


def test_a_file_that_has_not_changed_is_not_sent_again(stored: Emulator, tmp_path: Path) -> None:
    assert get(stored, tmp_path / "back") == CONTENT
    before = (tmp_path / "back").stat().st_ino
    assert get(stored, tmp_path / "back") == CONTENT
    assert (tmp_path / "back").stat().st_ino == before
    conditions = [each.headers.get("if-none-match") for each in stored.requests_to("GET", STORED)]
    assert conditions[0] is None
    assert conditions[1]


def test_a_file_that_grows_is_replaced_when_all_of_it_is_here(
    emulator: Emulator, tmp_path: Path
) -> None:
    url, back = f"{emulator.url}/storage/x", tmp_path / "back"
    for body, etag in (("whole", "a"), ("whole file", "b")):
        fault = Fault(path=STORED, status=200, body=body, headers={"ETag": f'"{etag}"'})
        emulator.faults.add(fault)
        assert get_from(emulator, url, back) == body.encode()
    answer = b'HTTP/1.1 200 OK\r\nETag: "c"\r\nContent-Length: 20\r\n\r\nwhole file, and'
    with one_answer(answer) as (cut, _), pytest.raises(ConnectionFailedError):
        get_from(emulator, cut, back)
    assert back.read_bytes() == b"whole file"


def test_a_file_that_is_here_stays_when_storage_no_longer_has_it(
    stored: Emulator, tmp_path: Path
) -> None:
    assert get(stored, tmp_path / "back") == CONTENT
    stored.faults.add(Fault("GET", STORED, status=404))
    with pytest.raises(StorageError):
        get(stored, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == CONTENT


def test_a_server_that_knows_no_conditions_does_not_send_the_same_file_twice(
    emulator: Emulator, tmp_path: Path
) -> None:
    headers = {"ETag": '"a"', "x-goog-generation": "1"}
    emulator.faults.add(Fault(path=STORED, status=200, body="whole", headers=headers, times=None))
    url = f"{emulator.url}/storage/x"
    assert get_from(emulator, url, tmp_path / "back") == b"whole"
    before = (tmp_path / "back").stat().st_ino
    assert get_from(emulator, url, tmp_path / "back") == b"whole"
    assert (tmp_path / "back").stat().st_ino == before


def test_two_sizes_for_one_file_are_no_answer(emulator: Emulator, tmp_path: Path) -> None:
    headers = {"x-goog-stored-content-length": "11"}
    emulator.faults.add(Fault(path=STORED, status=200, body="whole file", headers=headers))
    emulator.faults.add(Fault(path=STORED, status=200, body="whole file and"))
    url = f"{emulator.url}/storage/x"
    assert get_from(emulator, url, tmp_path / "back") == b"whole file and"
    assert len(emulator.requests) == 2


def test_what_is_fetched_is_for_the_user_alone(stored: Emulator, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        get(stored, tmp_path / "back")
    finally:
        os.umask(before)
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o600
