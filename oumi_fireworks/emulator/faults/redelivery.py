"""Delivering a request twice, as a proxy does that has lost patience with the first try."""

from __future__ import annotations

import aiohttp
from aiohttp import web
from yarl import URL

DELIVERY_HEADER = "X-Emulator-Delivery"
"""Marks a request that the emulator sends to itself; its value is the emulator's secret."""

HIDDEN = "hidden"
"""Key under which a request remembers that it is not to be recorded: its deliveries are."""

_NOT_COPIED = frozenset({"content-length", "transfer-encoding", "connection", "expect"})


async def deliver_twice(request: web.Request, secret: str) -> web.Response:
    """Send a request to its own server two times, one after the other.

    Args:
        request: Its body must fit into memory.
        secret: What the deliveries are marked with.

    Returns:
        The answer to the second delivery.
    """
    request[HIDDEN] = True
    assert request.transport is not None
    host, port, *_ = request.transport.get_extra_info("sockname")
    scheme = "https" if request.transport.get_extra_info("ssl_object") else "http"
    host = f"[{host}]" if ":" in host else host
    headers = [(n, v) for n, v in request.headers.items() if n.lower() not in _NOT_COPIED]
    headers.append((DELIVERY_HEADER, secret))
    body = await request.read()
    url = URL(f"{scheme}://{host}:{port}{request.raw_path}", encoded=True)
    # The certificate is our own, and may be made out for another name.
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        await _deliver(session, request, url, headers, body)
        return await _deliver(session, request, url, headers, body)


async def _deliver(
    session: aiohttp.ClientSession,
    request: web.Request,
    url: URL,
    headers: list[tuple[str, str]],
    body: bytes,
) -> web.Response:
    async with session.request(
        request.method, url, data=body, headers=headers, skip_auto_headers=("Content-Type",)
    ) as answer:
        data = await answer.read()
        kept = {n: v for n, v in answer.headers.items() if n.lower() not in _NOT_COPIED}
        return web.Response(status=answer.status, body=data, headers=kept)
