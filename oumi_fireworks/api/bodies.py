"""Files as the bodies of requests."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_CHUNK_BYTES = 1 << 20
"""Bytes read at a time."""

_SENT_BYTES = 1 << 18
"""Small enough that a slow line takes a piece well within the limit."""


@dataclass(frozen=True)
class FileBody:
    """A file as a request's body, read from its beginning each time that aiohttp asks for it.

    aiohttp asks a second time by itself, for a PUT on a connection that turned out to be dead.

    Attributes:
        path: The file.
        content_type: What the body is.
        before: Bytes ahead of the file's.
        after: Bytes behind the file's.
    """

    path: Path
    content_type: str = "application/octet-stream"
    before: bytes = b""
    after: bytes = b""

    @classmethod
    def form(cls, path: Path) -> Self:
        """Wrap a file in a form, as its field ``file``.

        aiohttp's own form takes four times as long: it reads in small pieces.
        """
        boundary = secrets.token_hex(16)
        before = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        return cls(
            path,
            f"multipart/form-data; boundary={boundary}",
            before.encode(),
            f"\r\n--{boundary}--\r\n".encode(),
        )

    @property
    def headers(self) -> dict[str, str]:
        """The headers that describe the body."""
        size = len(self.before) + self.path.stat().st_size + len(self.after)
        return {"Content-Type": self.content_type, "Content-Length": str(size)}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.before:
            yield self.before
        for chunk in blocks(self.path, _SENT_BYTES):
            yield chunk
        if self.after:
            yield self.after


@dataclass(frozen=True)
class WatchedBody:
    """A body that puts off a time limit with each piece that is taken, and ends it at the end.

    Attributes:
        body: What is sent.
        limit: The time limit; it runs while a piece waits to be taken.
        seconds: How long a piece may wait.
    """

    body: FileBody
    limit: asyncio.Timeout
    seconds: float

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        async for piece in self.body:
            self.limit.reschedule(loop.time() + self.seconds)
            yield piece
        self.limit.reschedule(None)


def blocks(path: Path, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """Read a file in large pieces."""
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk
