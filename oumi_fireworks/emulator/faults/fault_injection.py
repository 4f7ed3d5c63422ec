"""Carrying out faults: what goes wrong with one request."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from oumi_fireworks.emulator.faults.faults import Fault
from oumi_fireworks.emulator.faults.redelivery import deliver_twice
from oumi_fireworks.emulator.faults.visibility import OTHER, STALE
from oumi_fireworks.emulator.wire.errors import (
    ApiError,
    error_for_path,
    inference_error,
    storage_error,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CUT = "cut"
"""Key under which a streamed answer finds the number of bytes after which it is cut off."""

FILE = "file"
"""Key under which a request for a file remembers the file's path."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_UNAVAILABLE = {
    "scaling_up": (
        503,
        "The deployment is scaling up, please try again later",
        "DEPLOYMENT_SCALING_UP",
    ),
    "overloaded": (503, "Service Overloaded", "SERVICE_OVERLOADED"),
    "swapping": (425, "The model's weights are being swapped, please try again", "TOO_EARLY"),
}

_A_LOT = 1 << 20
"""Bytes that an answer which is cut announces."""

_LITTLE = 1 << 12
"""Bytes that a connection which is not read takes in."""


class Dropped(Exception):
    """The connection is to be dropped instead of (the rest of) an answer.

    Args:
        rude: Whether to reset it, as a broken network does, or to close it behind the last byte.
    """

    def __init__(self, *, rude: bool = True) -> None:
        super().__init__()
        self._rude = rude

    def hang_up(self, request: web.Request) -> None:
        """Do it."""
        transport = request.transport
        if transport is None:
            return
        if not self._rude:
            transport.close()
            return
        plain = transport.get_extra_info("socket")
        if plain is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()


async def inject(
    fault: Fault, request: web.Request, handler: Handler, *, secret: str
) -> web.StreamResponse:
    """Answer a request the way a fault says.

    Args:
        fault: What goes wrong.
        request: With what.
        handler: What would answer it.
        secret: The emulator's, for a request that is delivered again.

    Raises:
        Dropped: If the connection is to be dropped.
    """
    match fault.kind:
        case "status":
            return _status(fault, request)
        case "delay":
            await asyncio.sleep(fault.delay or 0)
            return await handler(request)
        case "reset":
            raise Dropped
        case "lost_answer":
            await _attempt(request, handler)
            raise Dropped
        case "cut":
            request[CUT] = fault.bytes
            await _cut(fault, request, await _attempt(request, handler))
            raise Dropped(rude=False)
        case "stale_url":
            message = "The provided token has expired."
            return response_of(storage_error(fault.status or 403, "ExpiredToken", message))
        case "truncated_json":
            return _truncated(await _attempt(request, handler))
        case "garbage":
            response = await _attempt(request, handler)
            if response.prepared:  # it was streamed, and has arrived
                return response
            return web.Response(body=_encode(fault.body), headers=_json_headers(fault))
        case "stall":
            return await _stall(fault, request)
        case "stale":
            request[STALE] = fault.delay
            return await handler(request)
        case "other":
            request[OTHER] = fault.body or ""
            return await handler(request)
        case "duplicate":
            return await deliver_twice(request, secret)
        case "scaling_up" | "overloaded" | "swapping":
            return response_of(inference_error(*_UNAVAILABLE[fault.kind]))
        case "stop_reading":
            await _stop_reading(fault, request)
            raise Dropped


def response_of(error: ApiError) -> web.Response:
    """Return an error as the answer that it is."""
    headers = {**error.headers, "Content-Type": error.content_type}
    return web.Response(status=error.status, body=error.body, headers=headers)


async def _attempt(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return response_of(error)


def _status(fault: Fault, request: web.Request) -> web.Response:
    status = fault.status or 503
    if fault.body is None:
        message = "a fault was asked for"
        response = response_of(error_for_path(request.path, status, message))
        response.headers.update(fault.headers)
        return response
    return web.Response(status=status, body=_encode(fault.body), headers=_json_headers(fault))


async def _cut(fault: Fault, request: web.Request, response: web.StreamResponse) -> None:
    """Promise all of the answer and send a part."""
    if response.prepared:  # it was streamed, and has cut itself off
        return
    begin, size, body = 0, 0, b""
    if FILE in request:
        size = request[FILE].stat().st_size
        begin, end, _ = request.http_range.indices(size)
        with request[FILE].open("rb") as file:
            file.seek(begin)
            body = file.read(min(fault.bytes, end - begin))
        if "Range" in request.headers:
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        size = end - begin
    elif isinstance(response, web.Response) and isinstance(response.body, bytes):
        size, body = len(response.body), response.body[: fault.bytes]
    partial = web.StreamResponse(status=response.status, headers=response.headers)
    partial.content_length = size
    await partial.prepare(request)
    await partial.write(body)


def _truncated(response: web.StreamResponse) -> web.StreamResponse:
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        response.body = response.body[: len(response.body) // 2]
    return response


async def _stall(fault: Fault, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = _A_LOT
    await response.prepare(request)
    await response.write(b"{")
    if fault.delay is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(fault.delay)
    raise Dropped


async def _stop_reading(fault: Fault, request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    plain = transport.get_extra_info("socket")
    if plain is not None:  # so that the network takes little of what is not read
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LITTLE)
    await request.content.read(fault.bytes)
    transport.pause_reading()
    if fault.delay is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(fault.delay)


def _encode(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


def _json_headers(fault: Fault) -> dict[str, str]:
    return {"Content-Type": "application/json", **fault.headers}
