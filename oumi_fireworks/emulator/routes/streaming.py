"""Streaming: a completion as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from aiohttp import web

from oumi_fireworks.emulator.faults.fault_injection import CUT

_PIECE = 16


async def send_stream(
    request: web.Request,
    completion: dict[str, Any],
    body: dict[str, Any],
    headers: dict[str, str],
) -> web.StreamResponse:
    """Send a completion piece by piece, ending in `[DONE]`."""
    response = web.StreamResponse(headers={**headers, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    options = body.get("stream_options") or {}
    room = request.get(CUT)
    for event in _events(completion, with_usage=bool(options.get("include_usage"))):
        await response.write(event if room is None else event[:room])
        if room is not None:
            room -= len(event)
            if room <= 0:
                break
    return response


def _events(completion: dict[str, Any], *, with_usage: bool) -> Iterator[bytes]:
    for chunk in chunks_of(completion, with_usage=with_usage):
        yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"


def chunks_of(completion: dict[str, Any], *, with_usage: bool) -> Iterator[dict[str, Any]]:
    """Return the chunks that add up to a completion.

    Args:
        completion: A `chat.completion` object.
        with_usage: Whether a last chunk without choices carries the usage.
    """
    frame = {
        "id": completion["id"],
        "object": "chat.completion.chunk",
        "created": completion["created"],
        "model": completion["model"],
    }
    for choice in completion["choices"]:
        for delta in _deltas(choice["message"]):
            part = {"index": choice["index"], "delta": delta, "finish_reason": None}
            yield {**frame, "choices": [part]}
        end = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        yield {**frame, "choices": [end]}
    if with_usage:
        yield {**frame, "choices": [], "usage": completion["usage"]}


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant"}
    for field in ("reasoning_content", "content"):
        text = message.get(field) or ""
        for at in range(0, len(text), _PIECE):
            yield {field: text[at : at + _PIECE]}
    for index, call in enumerate(message.get("tool_calls", ())):
        yield {"tool_calls": [{"index": index, **call}]}
