"""The connections to the service, kept from one call to the next."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from oumi_fireworks.api.connections import proxy_for
from oumi_fireworks.errors import MalformedAnswerError
from oumi_fireworks.loop import on_loop_close
from oumi_fireworks.online.deadlines import Deadlines
from oumi_fireworks.online.streamed_completion import StreamedCompletion

__all__ = ["HttpResponse", "Session"]

KEEP_ALIVE = 120.0
"""Seconds that an idle connection is kept: the time that a person takes for the next prompt."""

CONNECT_TIMEOUT = 30.0
"""Seconds to connect, which must not take as long as an answer may."""

LONGEST_SILENCE = 120.0
"""Seconds in which a stream must send something, if the timeout is not shorter."""

STREAM_TIMEOUTS = 12.0
"""How many times the timeout a stream may take: its answers are long."""

LAST_BYTES = 1.0
"""Seconds that are waited for the end of a stream which has said that it is done."""

LARGE_BODY = 64 * 1024
"""Bytes from which a body is written in pieces, with turns for other requests in between."""

EVENT_STREAM = "text/event-stream"
"""The content type of streams."""

LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer, beyond which it is given up: no completion is as long."""

_CONNECT_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)

_BROKEN_BEFORE_ANSWER = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    ConnectionResetError,
)

_reused: ContextVar[bool] = ContextVar("oumi_fireworks_connection_was_reused", default=False)


@dataclass(slots=True)
class HttpResponse:
    """A complete answer.

    Attributes:
        status: HTTP status.
        headers: Header fields; names in any case.
        body: The decompressed body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Session:
    """Kept-alive connections to one URL, for the running loop.

    On a :class:`~oumi_fireworks.loop.BackgroundLoop` they are closed with the loop.

    Args:
        url: Where to post.
        headers: Sent with every request, and, as redirects are not followed, nowhere else.
        timeout: Seconds for a whole exchange; 0 for no limit.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._url = URL(url)
        self._proxy = proxy_for(url)
        self._stream_timeout = aiohttp.ClientTimeout(
            total=timeout * STREAM_TIMEOUTS or None,
            sock_connect=CONNECT_TIMEOUT,
            sock_read=min(timeout or LONGEST_SILENCE, LONGEST_SILENCE),
        )
        self._deadlines = Deadlines(timeout)
        self._client = aiohttp.ClientSession(
            # The pump bounds the connections: a limit here would only make requests wait twice.
            connector=_Connector(limit=0, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", **headers},
        )
        on_loop_close(self.close)

    async def post(
        self,
        body: bytes,
        stream: StreamedCompletion | None = None,
        on_head: Callable[[Mapping[str, str]], None] | None = None,
    ) -> HttpResponse:
        """Send a JSON body and read the answer.

        A server may close an idle connection just when it is used again. A request that met
        this is sent once more, because that is nobody's failure.

        Args:
            body: The request.
            stream: Takes the answer, where the request asks for a stream and gets one.
            on_head: Called with the headers of a stream, before it comes.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: No complete answer came.
            MalformedAnswerError: The answer has no end.
        """
        if stream is not None:
            return await self._exchange(body, self._stream_timeout, stream, on_head)
        task = self._deadlines.begin()
        try:
            return await self._exchange(body, _CONNECT_TIMEOUT)
        except asyncio.CancelledError as error:
            if self._deadlines.end(task):
                raise TimeoutError from error
            raise
        finally:
            self._deadlines.end(task)

    async def close(self) -> None:
        """Close the connections. Safe to repeat."""
        self._deadlines.close()
        await self._client.close()

    async def _exchange(
        self,
        body: bytes,
        timeout: aiohttp.ClientTimeout,
        stream: StreamedCompletion | None = None,
        on_head: Callable[[Mapping[str, str]], None] | None = None,
    ) -> HttpResponse:
        try:
            response = await self._send(body, timeout)
        except _BROKEN_BEFORE_ANSWER:
            if not _reused.get():
                raise
            response = await self._send(body, timeout)
        try:
            if stream is not None and response.ok and response.content_type == EVENT_STREAM:
                if on_head is not None:
                    on_head(response.headers)
                await self._read_stream(response, stream)
                body = b""
            else:
                body = await self._read(response)
        finally:
            # Read to its end it is closed already, and doing it again takes longer than reading.
            if not response.closed:
                response.close()
        return HttpResponse(response.status, response.headers, body)

    def _send(
        self, body: bytes, timeout: aiohttp.ClientTimeout
    ) -> Awaitable[aiohttp.ClientResponse]:
        """Send a body, and wait for the head of the answer."""
        return self._client.post(
            self._url,
            data=body if len(body) < LARGE_BODY else io.BytesIO(body),
            allow_redirects=False,
            proxy=self._proxy,
            timeout=timeout,
        )

    async def _read_stream(
        self, response: aiohttp.ClientResponse, stream: StreamedCompletion
    ) -> None:
        length = 0
        async for chunk in response.content.iter_any():
            stream.feed(chunk)
            if stream.is_done:
                break
            length += len(chunk)
            self._check_length(length)
        # With its last bytes read, the connection can be used again. They mostly are there.
        if stream.is_done and not response.content.at_eof():
            with suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(LAST_BYTES):
                    await response.content.readany()

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        content = response.content
        if content.is_eof():  # it came with its head, as short ones do
            body = content.read_nowait()
            self._check_length(len(body))
            return body
        chunks = []
        length = 0
        while chunk := await content.readany():
            chunks.append(chunk)
            length += len(chunk)
            self._check_length(length)
        return b"".join(chunks)

    def _check_length(self, length: int) -> None:
        if length > LONGEST_ANSWER:
            raise MalformedAnswerError(
                f"POST {self._url} sent more than {LONGEST_ANSWER >> 20} MiB and no end."
            )


class _Connector(aiohttp.TCPConnector):
    """Notes, for the task that asks, whether its connection has served before."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(*args, **kwargs)
        protocol: Any = connection.protocol
        _reused.set(getattr(protocol, "has_served", False))
        protocol.has_served = True
        return connection
