"""Files from signed storage: cut, resumed, damaged, with stale URLs."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.api.versions import FileVersion
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    ChecksumError,
    ConfigurationError,
    ConnectionFailedError,
    FireworksError,
    StorageError,
)
from tests.api.storage.support import (
    CONTENT,
    STORED,
    crc32c,
    get,
    get_from,
    leave,
    one_answer,
    put,
    ranges,
)
from tests.api.support import with_client


def test_a_download_sends_no_key_and_leaves_no_other_file(stored: Emulator, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    assert get(stored, folder / "back") == CONTENT
    assert sorted(path.name for path in folder.iterdir()) == ["back", "back.version"]
    [request] = stored.requests_to("GET", STORED)
    assert "authorization" not in request.headers
    assert "range" not in request.headers


def test_a_key_stays_where_it_belongs_when_storage_is_elsewhere(
    emulator: Emulator, tmp_path: Path
) -> None:
    with Emulator() as storage:
        storage.faults.add(Fault(path=STORED, status=200, body="content", times=None))
        url = f"{storage.url}/storage/x?X-Goog-Signature=abc"
        assert get_from(emulator, url, tmp_path / "back") == b"content"
        path = tmp_path / "up"
        path.write_bytes(b"rows")

        async def source() -> str:
            return url

        with_client(emulator, lambda client: client.storage.put(path, source))
        assert [each.method for each in storage.requests] == ["GET", "PUT"]
        for request in storage.requests:
            assert not [text for text in request.headers.values() if emulator.api_key in text]


@pytest.mark.parametrize("url", ["http://storage.example/f", "ftp://localhost/f", "nonsense"])
def test_a_url_that_is_not_secure_is_not_used(emulator: Emulator, tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="signed download URL"):
        get_from(emulator, url, tmp_path / "back")


def test_a_signed_url_is_sent_letter_by_letter(emulator: Emulator, tmp_path: Path) -> None:
    target = "/storage/b%2Fo/a%7Eb?X-Goog-Credential=a%40b%2F2026&X-Goog-Signature=%2B%27%3B%7e"
    with one_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as (url, received):
        assert get_from(emulator, url + target, tmp_path / "back") == b"ok"
    assert received[0].split(b"\r\n")[0] == f"GET {target} HTTP/1.1".encode()


@pytest.mark.parametrize("first", [1, 1000, len(CONTENT) - 1])
def test_a_download_that_is_cut_again_and_again_goes_on_where_it_stopped(
    stored: Emulator, tmp_path: Path, first: int
) -> None:
    for _ in range(12):  # more often than any call is repeated
        stored.faults.add(Fault("GET", STORED, "cut", bytes=first))
        first = min(first, 20_000)
    assert get(stored, tmp_path / "back") == CONTENT
    asked = [int(text.removeprefix("bytes=").rstrip("-")) for text in ranges(stored) if text]
    assert asked == sorted(asked)
    assert len(asked) == len(set(asked))
    assert len(stored.requests_to("GET", ":getDownloadEndpoint$")) == 1


def test_a_download_that_brings_nothing_gives_up_and_keeps_what_it_has(
    stored: Emulator, tmp_path: Path
) -> None:
    stored.faults.add(Fault("GET", STORED, "cut", bytes=1000))
    stored.faults.add(Fault("GET", STORED, "cut", bytes=0, times=None))
    with pytest.raises(ConnectionFailedError):
        get(stored, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert (tmp_path / "back.part").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("have", [1, 1000, len(CONTENT) - 1, len(CONTENT)])
def test_what_a_former_process_has_fetched_is_not_fetched_again(
    stored: Emulator, tmp_path: Path, have: int
) -> None:
    leave(tmp_path / "back", CONTENT[:have], FileVersion(len(CONTENT)))
    assert get(stored, tmp_path / "back") == CONTENT
    assert ranges(stored) == [f"bytes={have}-"]


def test_a_rest_that_is_longer_than_the_file_is_thrown_away(
    stored: Emulator, tmp_path: Path
) -> None:
    leave(tmp_path / "back", CONTENT + b"more", FileVersion(len(CONTENT)))
    assert get(stored, tmp_path / "back") == CONTENT


def test_a_damaged_rest_is_found_by_the_checksum_and_fetched_anew(
    stored: Emulator, tmp_path: Path
) -> None:
    leave(tmp_path / "back", b"x" * 1000, FileVersion(len(CONTENT)))
    assert get(stored, tmp_path / "back") == CONTENT
    assert ranges(stored) == ["bytes=1000-", None]


def test_an_empty_file_is_a_file(emulator: Emulator, tmp_path: Path) -> None:
    emulator.faults.add(Fault(path=STORED, status=200, body=""))
    assert get_from(emulator, f"{emulator.url}/storage/empty", tmp_path / "back") == b""


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_stale_url_is_replaced_by_a_fresh_one(
    stored: Emulator, tmp_path: Path, status: int
) -> None:
    stored.faults.add(Fault("GET", STORED, "cut", bytes=1000))
    stored.faults.add(Fault("GET", STORED, "stale_url", status=status))
    assert get(stored, tmp_path / "back") == CONTENT
    assert ranges(stored) == [None, "bytes=1000-", "bytes=1000-"]
    assert len(stored.requests_to("GET", ":getDownloadEndpoint$")) == 2


def test_urls_may_go_stale_any_number_of_times_while_bytes_come(
    stored: Emulator, tmp_path: Path
) -> None:
    for _ in range(10):
        stored.faults.add(Fault("GET", STORED, "cut", bytes=1000))
        stored.faults.add(Fault("GET", STORED, "stale_url"))
    assert get(stored, tmp_path / "back") == CONTENT


def test_a_url_that_is_stale_however_fresh_is_an_error(stored: Emulator, tmp_path: Path) -> None:
    stored.faults.add(Fault("GET", STORED, "stale_url", times=None))
    with pytest.raises(StorageError, match="expired") as caught:
        get(stored, tmp_path / "back")
    assert caught.value.status == 403
    assert len(stored.requests_to("GET", STORED)) <= 10


def test_a_real_expiry_is_survived(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    put(emulator, path)
    urls: list[str] = []

    async def run(client: FireworksClient) -> None:
        async def url() -> str:
            [found] = (await client.datasets.download_urls("d")).values()
            urls.append(found)
            if len(urls) == 1:
                emulator.clock.advance(601)
            return found

        await client.storage.get(url, tmp_path / "back")

    with_client(emulator, run)
    assert (tmp_path / "back").read_bytes() == CONTENT
    assert len(urls) == 2


@pytest.mark.parametrize("status", [302, 404, 412, 416])
def test_storage_without_the_file_says_so(stored: Emulator, tmp_path: Path, status: int) -> None:
    stored.faults.add(Fault("GET", STORED, status=status, body="<Error>why</Error>", times=None))
    with pytest.raises(StorageError, match=f"answered {status}: <Error>why</Error>") as caught:
        get(stored, tmp_path / "back")
    assert caught.value.status == status


MD5 = base64.b64encode(hashlib.md5(b"content").digest()).decode()


@pytest.mark.parametrize(
    "hashes",
    [
        f"crc32c={crc32c(b'content')},md5={MD5}",
        f"crc32c={crc32c(b'content')}",
        f"md5={MD5}",
        f"crc32c={crc32c(b'content')},md5=of-something-composed",
        "sha0=whatever",
        "",
    ],
)
def test_a_download_that_agrees_with_its_checksum_is_taken(
    emulator: Emulator, tmp_path: Path, hashes: str
) -> None:
    headers = {"x-goog-hash": hashes} if hashes else {}
    emulator.faults.add(Fault(path=STORED, status=200, body="content", headers=headers))
    url = f"{emulator.url}/storage/x"
    assert get_from(emulator, url, tmp_path / "back") == b"content"
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("hashes", [f"crc32c={crc32c(b'other')}", "md5=AAAAAAAAAAAAAAAAAAAAAA=="])
def test_a_download_that_differs_from_its_checksum_is_tried_once_more(
    emulator: Emulator, tmp_path: Path, hashes: str
) -> None:
    wrong = Fault(path=STORED, status=200, body="content", headers={"x-goog-hash": hashes})
    right = Fault(path=STORED, status=200, body="content")
    url = f"{emulator.url}/storage/x"
    emulator.faults.add(wrong)
    emulator.faults.add(right)
    assert get_from(emulator, url, tmp_path / "first") == b"content"
    for fault in (wrong, wrong):
        emulator.faults.add(Fault(path=STORED, status=200, body="content", headers=fault.headers))
    with pytest.raises(ChecksumError, match="damaged"):
        get_from(emulator, url, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_server_that_ignores_range_loses_and_repeats_nothing(
    emulator: Emulator, tmp_path: Path
) -> None:
    emulator.faults.add(Fault(path=STORED, status=200, body="whole file", times=None))
    leave(tmp_path / "back", b"whole", FileVersion(10))
    url = f"{emulator.url}/storage/x"
    assert get_from(emulator, url, tmp_path / "back") == b"whole file"


def test_a_server_that_ignores_range_and_cuts_is_not_asked_for_ever(
    emulator: Emulator, tmp_path: Path
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nwhole"
    with one_answer(answer) as (url, received), pytest.raises(ConnectionFailedError):
        get_from(emulator, url, tmp_path / "back")
    assert len(received) < 20
    assert (tmp_path / "back.part").read_bytes() == b"whole"


@pytest.mark.parametrize("extent", ["bytes 7-9/10", "bytes 2-9/10", "nonsense", ""])
def test_another_part_than_was_asked_for_is_not_taken(
    emulator: Emulator, tmp_path: Path, extent: str
) -> None:
    headers = {"Content-Range": extent}
    emulator.faults.add(Fault(path=STORED, status=206, body="wrong", headers=headers, times=None))
    leave(tmp_path / "back", b"whole", FileVersion(10))
    with pytest.raises(FireworksError, match="another part"):
        get_from(emulator, f"{emulator.url}/storage/x", tmp_path / "back")
    assert (tmp_path / "back.part").read_bytes() == b"whole"


def test_a_part_shorter_than_asked_for_is_followed_by_the_rest(
    emulator: Emulator, tmp_path: Path
) -> None:
    for extent, body in (("bytes 5-6/10", " f"), ("bytes 7-9/10", "ile")):
        headers = {"Content-Range": extent}
        emulator.faults.add(Fault(path=STORED, status=206, body=body, headers=headers))
    leave(tmp_path / "back", b"whole", FileVersion(10))
    url = f"{emulator.url}/storage/x"
    assert get_from(emulator, url, tmp_path / "back") == b"whole file"


def test_a_416_that_does_not_tell_the_size_begins_anew(emulator: Emulator, tmp_path: Path) -> None:
    emulator.faults.add(Fault(path=STORED, status=416, body="x" * 5))
    emulator.faults.add(Fault(path=STORED, status=200, body="whole file", times=None))
    leave(tmp_path / "back", b"whole", FileVersion(10))
    url = f"{emulator.url}/storage/x"
    assert get_from(emulator, url, tmp_path / "back") == b"whole file"
