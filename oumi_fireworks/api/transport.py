"""One HTTP exchange with Fireworks, and its repetition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from oumi_fireworks.api.bodies import FileBody, WatchedBody
from oumi_fireworks.api.connections import TRANSPORT_FAILURES, cause_of, failure_of, proxy_for
from oumi_fireworks.api.lenient_json import json_or_text
from oumi_fireworks.api.refusals import error_from_answer
from oumi_fireworks.api.retries import RetryPolicy
from oumi_fireworks.api.retry_after import read_retry_after
from oumi_fireworks.api.root import require_secure
from oumi_fireworks.api.values import require_about
from oumi_fireworks.errors import ConnectionFailedError, MalformedAnswerError
from oumi_fireworks.safe_text import keep_secret

TRANSFER_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=120)
"""For files: no limit in all, but a connection that falls silent is given up."""


@dataclass
class Transport:
    """An aiohttp session that speaks JSON with one Fireworks server.

    Attributes:
        root_url: Scheme and host, from :func:`~oumi_fireworks.api.root.resolve_root`.
        api_key: Sent to ``root_url`` alone, never to signed URLs, and kept out of ``repr``.
        retry: How calls are repeated.
        timeout: Seconds for one exchange of small JSON; transfers of files have none.
        stall_timeout: Seconds without a byte taken after which an upload is given up.
    """

    root_url: str
    api_key: str = field(repr=False)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: float = 60.0
    stall_timeout: float = 120.0
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)
    _has_answered: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        keep_secret(self.api_key)

    async def __aenter__(self) -> Self:
        require_secure(self.root_url, what="The Fireworks URL")
        self._session = aiohttp.ClientSession(json_serialize=_no_implicit_json)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open session. Signed storage uses it too, with no header of ours."""
        if self._session is None:
            raise RuntimeError("Use the client inside `async with`.")
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        about: str = "",
    ) -> dict[str, Any]:
        """Exchange JSON, repeating what may be repeated.

        Args:
            method: HTTP method.
            path: Path below the root, beginning with ``/v1/`` or ``/inference/``.
            params: Query parameters.
            json: The request's body; None sends none.
            about: The id or the resource name of what the answer must be about, if it is a
                resource. An answer about another is repeated like any other wrong answer.

        Returns:
            The answer's JSON object.

        Raises:
            FireworksError: What the last attempt met.
        """
        return await self.retry.run(
            lambda: self.exchange(method, path, params=params, json=json, about=about)
        )

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        body: FileBody | None = None,
        about: str = "",
    ) -> dict[str, Any]:
        """Exchange JSON exactly once. See :meth:`request`; ``body`` is a file."""
        headers = {"Authorization": f"Bearer {self.api_key}", "Accept": "application/json"}
        sent: bytes | FileBody | None = body
        if json is not None:
            headers["Content-Type"] = "application/json"
            sent = orjson.dumps(json)
        elif body is not None:
            headers |= body.headers
        timeout = TRANSFER_TIMEOUT if body else aiohttp.ClientTimeout(total=self.timeout)
        where = f"{method} {path}"
        url = self.root_url + path
        async with (
            self.sending(sent, where) as data,
            self.session.request(
                method,
                url,
                params=params,
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                proxy=proxy_for(url),
            ) as response,
        ):
            self._has_answered = True
            text = self._without_key(await response.read())
        if not 200 <= response.status < 300:
            raise error_from_answer(
                where,
                response.status,
                json_or_text(text),
                retry_after=read_retry_after(response.headers),
            )
        answer = json_or_text(text) if text.strip() else {}
        if not isinstance(answer, dict):
            raise MalformedAnswerError(f"{where} answered {response.status} without a JSON object.")
        if about:
            require_about(answer, about)
        return answer

    @asynccontextmanager
    async def sending(
        self, body: bytes | FileBody | None, what: str
    ) -> AsyncIterator[bytes | WatchedBody | None]:
        """Give the body for a request, and watch that the server takes it.

        aiohttp's own timeouts do not run while a body is written: a server that stops reading
        would hold the upload for ever.

        Args:
            body: What is to be sent; a file is watched.
            what: What is done, for the message.

        Raises:
            ConnectionFailedError: If no complete answer came, or no byte was taken for
                :attr:`stall_timeout` seconds.
        """
        limit = asyncio.timeout(None)
        try:
            async with limit:
                if isinstance(body, FileBody):
                    yield WatchedBody(body, limit, self.stall_timeout)
                else:
                    yield body
        except TRANSPORT_FAILURES as error:
            if limit.expired():
                raise ConnectionFailedError(
                    f"{what}: the server took no more bytes for {self.stall_timeout:g} s"
                ) from error
            raise failure_of(what, error, has_answered=self._has_answered) from cause_of(error)

    def _without_key(self, body: bytes) -> bytes:
        """Blank out the key where a server repeats it: in a message, or in a job's status."""
        key = self.api_key.encode()
        return body.replace(key, b"***") if key else body


def _no_implicit_json(value: object) -> str:
    raise TypeError("Bodies are encoded with orjson before they reach aiohttp.")
