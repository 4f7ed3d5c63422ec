"""Completions taken apart as services stream them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import orjson

Chunk = dict[str, Any]


def chunks_of(completion: dict[str, Any], *, seed: int = 0) -> Iterator[Chunk]:
    """Yield the chunks of a completion, its texts cut at random, its choices mixed."""
    chance = random.Random(seed)
    frame = {key: completion[key] for key in ("id", "created", "model")}
    frame["object"] = "chat.completion.chunk"
    streams = [list(_parts(choice, chance)) for choice in completion["choices"]]
    while any(streams):
        stream = chance.choice([stream for stream in streams if stream])
        chunk = {**frame, "choices": [stream.pop(0)]}
        if not any(streams):
            chunk["usage"] = completion["usage"]
        yield chunk


def encode(chunks: Iterator[Chunk], *, done: bool = True) -> bytes:
    """Return chunks as an event stream."""
    events = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)
    return events + (b"data: [DONE]\n\n" if done else b"")


def _parts(choice: dict[str, Any], chance: random.Random) -> Iterator[Chunk]:
    index, message = choice["index"], choice["message"]

    def part(delta: dict[str, Any], **more: Any) -> Chunk:
        return {"index": index, "delta": delta, "finish_reason": None, **more}

    yield part({"role": message["role"]})
    for field in ("reasoning_content", "content"):
        for piece in _pieces(message.get(field) or "", chance):
            yield part({field: piece})
    for place, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        head = {"index": place, "id": call["id"], "type": call["type"]}
        yield part({"tool_calls": [{**head, "function": {"name": function["name"]}}]})
        for piece in _pieces(function["arguments"], chance):
            yield part({"tool_calls": [{"index": place, "function": {"arguments": piece}}]})
    for token in (choice.get("logprobs") or {}).get("content", ()):
        yield part({}, logprobs={"content": [token]})
    yield {"index": index, "delta": {}, "finish_reason": choice["finish_reason"]}


def _pieces(text: str, chance: random.Random) -> Iterator[str]:
    while text:
        size = chance.randint(1, 8)
        yield text[:size]
        text = text[size:]
