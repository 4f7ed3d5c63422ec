"""Files to signed storage: whole, repeated, refused, stuck."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import ServerError, StorageError
from tests.api.storage.support import CONTENT, STORED, get, put
from tests.api.support import QUICK, with_client


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
