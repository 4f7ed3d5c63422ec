"""Forwarding to an OpenAI-compatible server, which then answers instead of the toy model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from oumi_fireworks.emulator.faults.fault_injection import Dropped
from oumi_fireworks.emulator.settings import Upstream
from oumi_fireworks.emulator.wire.errors import inference_error
from oumi_fireworks.emulator.work.output_rows import RowFailure

_HOP_HEADERS = ("Content-Type", "Retry-After")
_STOPPED = RowFailure("the emulator was stopped", 503)
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30)


class UpstreamClient:
    """One session to the server upstream, on the emulator's loop.

    Args:
        settings: Where it is and what to ask it for.
    """

    def __init__(self, settings: Upstream) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/") + "/chat/completions"
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(settings.concurrency)
        headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=_TIMEOUT
        )

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()

    async def forward(
        self, request: web.Request, body: dict[str, Any], headers: dict[str, str]
    ) -> web.StreamResponse:
        """Pass a request on and its answer back; a stream piece by piece as it comes.

        Raises:
            ApiError: 503, if no answer came.
            Dropped: If a stream broke off: what has been sent of it cannot be taken back.
        """
        stream: web.StreamResponse | None = None
        try:
            async with self._session.post(self._url, data=self._encode(body)) as answer:
                passed = {n: answer.headers[n] for n in _HOP_HEADERS if n in answer.headers}
                headers = {**headers, **passed}
                if not body.get("stream"):
                    data = await answer.read()
                    return web.Response(status=answer.status, body=data, headers=headers)
                stream = web.StreamResponse(status=answer.status, headers=headers)
                await stream.prepare(request)
                async for chunk in answer.content.iter_any():
                    await stream.write(chunk)
                return stream
        except (aiohttp.ClientError, TimeoutError) as error:
            if stream is not None:
                raise Dropped from error
            raise inference_error(
                503, f"the server upstream is away: {error}", "UPSTREAM"
            ) from None

    def answer_all(
        self, requests: Sequence[dict[str, Any]], model: str
    ) -> list[dict[str, Any] | RowFailure]:
        """Ask for the completions of a block of rows. For threads other than the loop's."""
        asking = self._ask_all(requests, model)
        try:
            future = asyncio.run_coroutine_threadsafe(asking, self._loop)
        except RuntimeError:  # the loop has gone
            asking.close()
            return [_STOPPED for _ in requests]
        while True:
            try:
                return future.result(timeout=1.0)
            except CancelledError:
                return [_STOPPED for _ in requests]
            except TimeoutError:
                if self._loop.is_closed():
                    return [_STOPPED for _ in requests]

    async def _ask_all(
        self, requests: Sequence[dict[str, Any]], model: str
    ) -> list[dict[str, Any] | RowFailure]:
        return list(await asyncio.gather(*(self._ask({**r, "model": model}) for r in requests)))

    async def _ask(self, body: dict[str, Any]) -> dict[str, Any] | RowFailure:
        async with self._room:
            try:
                async with self._session.post(self._url, data=self._encode(body)) as answer:
                    data = await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                return RowFailure(f"the server upstream is away: {error}", 503)
        if answer.status != 200:
            return RowFailure(data.decode(errors="replace")[:1000], answer.status)
        try:
            completion = orjson.loads(data)
        except orjson.JSONDecodeError:
            return RowFailure("the server upstream did not answer in JSON", 502)
        if not isinstance(completion, dict):
            return RowFailure("the server upstream did not answer with a completion", 502)
        return completion

    def _encode(self, body: dict[str, Any]) -> aiohttp.BytesPayload:
        if self._settings.model is not None:
            body = {**body, "model": self._settings.model}
        return aiohttp.BytesPayload(orjson.dumps(body), content_type="application/json")
