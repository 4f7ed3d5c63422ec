"""Streaming: a completion as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from aiohttp import web

from oumi_fireworks.emulator.faults.fault_injection import CUT

_PIECE = 16
"""Characters of a chunk."""

_USAGE_ON_REQUEST = "usage-on-request"
"""In the name of a model whose streams tell the usage only to those who ask for it."""


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
    asked = bool(options.get("include_usage"))
    with_usage = asked or _USAGE_ON_REQUEST not in completion["model"]
    room = request.get(CUT)
    for event in _events(completion, with_usage=with_usage):
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
        with_usage: Whether the last chunk that has a finish reason carries the usage.
    """
    frame = {
        "id": completion["id"],
        "object": "chat.completion.chunk",
        "created": completion["created"],
        "model": completion["model"],
    }
    last = completion["choices"][-1]
    for choice in completion["choices"]:
        for delta in _deltas(choice["message"]):
            part = {"index": choice["index"], "delta": delta, "finish_reason": None}
            yield {**frame, "choices": [part]}
        end = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        usage = {"usage": completion["usage"]} if with_usage and choice is last else {}
        yield {**frame, "choices": [end], **usage}


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant"}
    for field in ("reasoning_content", "content"):
        text = message.get(field) or ""
        for at in range(0, len(text), _PIECE):
            yield {field: text[at : at + _PIECE]}
    for index, call in enumerate(message.get("tool_calls", ())):
        yield {"tool_calls": [{"index": index, **call}]}
