"""A gate between a process and the emulator, where the n-th request meets its fate."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Literal, Self

import aiohttp
from aiohttp import web
from yarl import URL

Moment = Literal["before", "after"]

_HOP = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})


class Gate:
    """Passes requests on, on a thread of its own.

    Args:
        target: The emulator's URL.
        number: The request, counted from 1, at which ``act`` is called, once; 0 for none yet.
        moment: Whether that is before the request is passed on (it is then never passed on), or
            when the emulator has answered it (the answer is then never passed on).
        act: What happens. It may block.
    """

    def __init__(self, target: str, number: int, moment: Moment, act: Callable[[], None]) -> None:
        self._target = target
        self._number = number
        self._moment = moment
        self._act = act
        self._seen = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.url = ""
        self.has_acted = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def count_anew(self, number: int) -> None:
        """Count from here on, and act at this request."""
        self._seen, self._number = 0, number

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        self._seen += 1
        is_the_one = self._seen == self._number
        body = await request.read()
        if is_the_one and self._moment == "before":
            return await self._meet_fate(request)
        async with self._session.request(
            request.method,
            URL(f"{self._target}{request.raw_path}", encoded=True),
            headers=request.headers,  # the Host too, so that signed URLs lead through the gate
            data=body or None,
            allow_redirects=False,
        ) as answer:
            content = await answer.read()
        if is_the_one:
            return await self._meet_fate(request)
        response = web.Response(status=answer.status, body=content)
        response.headers.extend(
            (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP
        )
        return response

    async def _meet_fate(self, request: web.Request) -> web.StreamResponse:
        self.has_acted = True
        await asyncio.to_thread(self._act)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
