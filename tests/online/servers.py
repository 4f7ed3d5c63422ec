"""Servers that misbehave on the level of connections, which the emulator does not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on the running loop that treats each connection so. Yields its URL."""

    at_work: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_work.add(asyncio.current_task())
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/inference/v1/chat/completions"
        finally:
            for task in at_work:
                if task is not None:
                    task.cancel()  # since Python 3.12 closing a server waits for its connections


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read a request with a Content-Length, and return its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return await reader.readexactly(length)


def answer(body: bytes, status: str = "200 OK") -> bytes:
    """An HTTP answer that keeps the connection."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


COMPLETION = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]}'
