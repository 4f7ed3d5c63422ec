"""Answers that are held against rules."""

from __future__ import annotations

from typing import Any


def completion(content: Any, finish: Any = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion with one choice."""
    said = {"role": "assistant", "content": content, **message}
    return {"choices": [{"index": 0, "message": said, "finish_reason": finish}]}


def calling(name: str, arguments: Any) -> dict[str, Any]:
    """A chat completion that calls a tool."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return completion(None, "tool_calls", tool_calls=[call])
