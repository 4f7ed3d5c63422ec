"""The connections to the service, kept from one call to the next."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from oumi_fireworks.api.transport import proxy_for
from oumi_fireworks.errors import MalformedAnswerError
from oumi_fireworks.loop import on_loop_close

__all__ = ["HttpResponse", "Session"]

KEEP_ALIVE = 120.0
"""Seconds that an idle connection is kept: the time that a person takes for the next prompt."""

CONNECT_TIMEOUT = 30.0
"""Seconds to connect, which must not take as long as an answer may."""

LARGE_BODY = 64 * 1024
"""Bytes from which a body is written in pieces, with turns for other requests in between."""

LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer, beyond which it is given up: no completion is as long."""

_BROKEN_BEFORE_ANSWER = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    ConnectionResetError,
)

_reused: ContextVar[bool] = ContextVar("oumi_fireworks_connection_was_reused", default=False)


@dataclass(frozen=True, slots=True)
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
        self._client = aiohttp.ClientSession(
            # The pump bounds the connections: a limit here would only make requests wait twice.
            connector=_Connector(limit=0, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", **headers},
            timeout=aiohttp.ClientTimeout(total=timeout or None, sock_connect=CONNECT_TIMEOUT),
        )
        on_loop_close(self.close)

    async def post(self, body: bytes) -> HttpResponse:
        """Send a JSON body and read the answer.

        A server may close an idle connection just when it is used again. A request that met
        this is sent once more, because that is nobody's failure.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: No complete answer came.
            MalformedAnswerError: The answer has no end.
        """
        try:
            response = await self._send(body)
        except _BROKEN_BEFORE_ANSWER:
            if not _reused.get():
                raise
            response = await self._send(body)
        async with response:
            return HttpResponse(response.status, response.headers, await self._read(response))

    async def close(self) -> None:
        """Close the connections. Safe to repeat."""
        await self._client.close()

    async def _send(self, body: bytes) -> aiohttp.ClientResponse:
        """Send a body, and wait for the head of the answer."""
        return await self._client.post(
            self._url,
            data=body if len(body) < LARGE_BODY else io.BytesIO(body),
            allow_redirects=False,
            proxy=self._proxy,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks = []
        length = 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            length += len(chunk)
            if length > LONGEST_ANSWER:
                raise MalformedAnswerError(
                    f"POST {self._url} sent more than {LONGEST_ANSWER >> 20} MiB and no end."
                )
        return b"".join(chunks)


class _Connector(aiohttp.TCPConnector):
    """Notes, for the task that asks, whether its connection has served before."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(*args, **kwargs)
        protocol: Any = connection.protocol
        _reused.set(getattr(protocol, "has_served", False))
        protocol.has_served = True
        return connection
