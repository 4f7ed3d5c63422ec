"""What the tests of signed storage have in common."""

from __future__ import annotations

import base64
import random
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import google_crc32c

from oumi_fireworks.api import Dataset, FireworksClient
from oumi_fireworks.api.versions import FileVersion
from oumi_fireworks.emulator import Emulator
from tests.api.support import until_ready, with_client

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
