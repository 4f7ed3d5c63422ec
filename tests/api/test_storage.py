"""Signed storage: nothing of ours goes along, and every byte arrives."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import socketserver
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import google_crc32c
import pytest

from oumi_fireworks.api import Dataset, FireworksClient
from oumi_fireworks.api.versions import FileVersion
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    ChecksumError,
    ConfigurationError,
    ConnectionFailedError,
    FireworksError,
    ServerError,
    StorageError,
)
from tests.api.support import QUICK, until_ready, with_client

STORED = "^/storage/"
CONTENT = random.Random(0).randbytes(300_000)


def crc32c(content: bytes) -> str:
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def put(emulator: Emulator, path: Path) -> Dataset:
    """Upload a file by signed URL, the whole way to a dataset that is ready."""

    async def run(client: FireworksClient) -> Dataset:
        await client.datasets.create("d", example_count=1)
        size = path.stat().st_size

        async def url() -> str:
            return (await client.datasets.upload_urls("d", {path.name: size}))[path.name]

        await client.storage.put(path, url)
        await client.datasets.validate_upload("d")
        return await until_ready(client, "d")

    return with_client(emulator, run)


def leave(path: Path, content: bytes, version: FileVersion) -> None:
    """Leave behind what a former process has fetched of a file."""
    path.with_name(f"{path.name}.part").write_bytes(content)
    version.save(path.with_name(f"{path.name}.part.version"))


def get(emulator: Emulator, path: Path) -> bytes:
    """Download the file of the dataset that :func:`put` has made."""

    async def run(client: FireworksClient) -> None:
        async def url() -> str:
            [found] = (await client.datasets.download_urls("d")).values()
            return found

        await client.storage.get(url, path)

    with_client(emulator, run)
    return path.read_bytes()


def get_from(emulator: Emulator, url: str, path: Path) -> bytes:
    """Download from a URL of any kind."""

    async def source() -> str:
        return url

    with_client(emulator, lambda client: client.storage.get(source, path))
    return path.read_bytes()


@pytest.fixture
def stored(emulator: Emulator, tmp_path: Path) -> Emulator:
    """An emulator that holds CONTENT, and has forgotten how it got it."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    put(emulator, path)
    return emulator


@contextmanager
def one_answer(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers whatever it is asked with these bytes and hangs up.

    Yields:
        Its URL, and the requests that it has received.
    """
    received: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = iter(self.rfile.readline, b"\r\n")
            received.append(b"".join(head))
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", received
        finally:
            server.shutdown()


def ranges(emulator: Emulator) -> list[str | None]:
    return [each.headers.get("range") for each in emulator.requests_to("GET", STORED)]


#
# Uploads
#


def test_an_upload_sends_the_signed_headers_and_no_key(stored: Emulator, tmp_path: Path) -> None:
    [request] = stored.requests_to("PUT", STORED)
    assert request.status == 200
    assert request.headers["content-type"] == "application/octet-stream"
    assert request.headers["content-length"] == str(len(CONTENT))
    assert request.headers["x-goog-content-length-range"] == f"{len(CONTENT)},{len(CONTENT)}"
    assert "transfer-encoding" not in request.headers
    assert "authorization" not in request.headers
    assert not [text for text in request.headers.values() if stored.api_key in text]
    assert get(stored, tmp_path / "back") == CONTENT


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault("PUT", STORED, status=status) for status in (408, 429, 500, 502, 503, 504)),
        Fault("PUT", STORED, "reset"),
        Fault("PUT", STORED, "lost_answer"),
        Fault("PUT", STORED, "stale_url"),
        Fault("PUT", STORED, "stale_url", status=400),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_an_upload_that_fails_is_sent_again(
    emulator: Emulator, tmp_path: Path, fault: Fault
) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    emulator.faults.add(fault)
    assert put(emulator, path).is_ready
    [dataset] = emulator.datasets
    assert (dataset.bytes, len(dataset.files)) == (len(CONTENT), 1)
    assert get(emulator, tmp_path / "back") == CONTENT


def test_each_attempt_to_upload_has_a_fresh_url(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    emulator.faults.add(Fault("PUT", STORED, status=503, times=2))
    put(emulator, path)
    assert len(emulator.requests_to("POST", ":getUploadEndpoint$")) == 3


@pytest.mark.parametrize("status", [302, 403, 404, 411, 412, 413])
def test_an_upload_that_is_refused_says_why(
    emulator: Emulator, tmp_path: Path, status: int
) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    emulator.faults.add(Fault("PUT", STORED, status=status, body="<Error>why</Error>", times=None))
    with pytest.raises(StorageError, match=f"answered {status}: <Error>why</Error>") as caught:
        put(emulator, path)
    assert caught.value.status == status
    assert len(emulator.requests_to("PUT", STORED)) <= 2


def test_an_upload_gives_up_after_all_attempts(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    emulator.faults.add(Fault("PUT", STORED, status=503, times=None))
    with pytest.raises(ServerError):
        put(emulator, path)
    assert len(emulator.requests_to("PUT", STORED)) == QUICK.attempts


def test_the_wait_that_storage_asks_for_is_kept(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    emulator.faults.add(Fault("PUT", STORED, status=503, headers={"Retry-After": "0.2"}))
    begun = time.monotonic()
    put(emulator, path)
    assert time.monotonic() - begun >= 0.2


def test_an_upload_needs_little_memory(emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "content"
    size = 32 << 20
    with path.open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        put(emulator, path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert emulator.datasets[0].bytes == size
    assert most < size / 4


#
# Downloads
#


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


#
# Versions
#


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


#
# A server that stops reading
#


@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "direct"])
def test_an_upload_whose_server_stops_reading_is_given_up_and_tried_again(
    emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture, is_signed: bool
) -> None:
    path = tmp_path / "content.jsonl"
    path.write_bytes(b" " * (12 << 20))  # more than what sockets take by themselves
    upload = STORED if is_signed else ":upload$"
    emulator.faults.add(Fault(path=upload, kind="stop_reading", bytes=1000))

    async def run(client: FireworksClient) -> None:
        client.storage.transport.stall_timeout = 0.3
        await client.datasets.create("d", example_count=1)

        async def url() -> str:
            sizes = {path.name: path.stat().st_size}
            return (await client.datasets.upload_urls("d", sizes))[path.name]

        if is_signed:
            await client.storage.put(path, url)
        else:
            await client.connection.retry.run(lambda: client.datasets.upload("d", path))

    with_client(emulator, run)
    assert caplog.text.count("the server took no more bytes for 0.3 s") == 1
    assert [each.status for each in emulator.requests_to(path=upload)][-1] == 200
