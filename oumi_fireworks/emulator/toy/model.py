"""The toy model: quick, deterministic, and honest about what it is.

A token is four characters, for prompts and answers alike.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from oumi_fireworks.emulator.toy.markers import Prompt, messages_in, number_in, text_of
from oumi_fireworks.emulator.toy.schema import instance_of
from oumi_fireworks.emulator.wire.chat_request import forced_tool, schema_in, wants_json

TOKEN = 4
"""Characters in a token."""

DEFAULT_MAX_TOKENS = 2048
"""Tokens at which an answer ends that sets no bound of its own. Fireworks' guide."""

IMAGE_TOKENS = 256
"""Tokens that an image or a video costs."""

FAILURES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What `complete` raises for a schema that is none, since nobody checks it before."""

_MOST_WORDS = 1_000_000
"""Words of one answer, whatever a prompt asks for: they are all in memory."""

_THOUGHT = {"low": 1, "medium": 2, "adaptive": 2, "high": 4, "xhigh": 6, "max": 8}
"""Sentences of pretended thought for each effort."""

_SEPARATORS = "line\u2028paragraph\u2029next\x85form\x0cunit\x1ffile\x1cend"
_REPLIES: dict[str, Callable[[str, str], str | None]] = {
    "null": lambda _asked, _argument: None,
    "empty": lambda _asked, _argument: "",
    "echo": lambda asked, _argument: asked,
    "reply": lambda _asked, argument: argument,
    "words": lambda _asked, argument: _words(number_in(argument, 100)),
    "separators": lambda _asked, _argument: _SEPARATORS,
}


def _words(number: int) -> str:
    return " ".join(["toy"] * min(number, _MOST_WORDS))


def complete(body: dict[str, Any], prompt: Prompt, model: str, created: int) -> dict[str, Any]:
    """Answer a chat completion request that `check_chat_body` has accepted.

    Args:
        body: The request.
        prompt: What counts of its messages.
        model: The model's resource name.
        created: Seconds since the epoch.

    Returns:
        A `chat.completion` object. But for `created`, it depends on the request alone.
    """
    messages = messages_in(body)
    digest = blake2b(orjson.dumps(messages), digest_size=8).digest()
    seed = int.from_bytes(digest, "big")
    choices = [
        _choice(body, prompt, model, seed + index, index) for index in range(body.get("n") or 1)
    ]
    given, cached = prompt_usage(body)
    answer = sum(map(_answer_tokens, choices))
    return {
        "id": f"chatcmpl-{digest.hex()}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": choices,
        "usage": {
            "prompt_tokens": given,
            "total_tokens": given + answer,
            "completion_tokens": answer,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


class PromptUsage(NamedTuple):
    """What a prompt uses.

    Attributes:
        tokens: Its tokens.
        cached: Those that come from the cache: of a leading system message.
    """

    tokens: int
    cached: int


def prompt_usage(body: dict[str, Any]) -> PromptUsage:
    """Return what the prompt of a request uses."""
    tokens = body.get("prompt_token_ids")
    if tokens is not None:
        return PromptUsage(len(tokens), 0)
    messages = body["messages"]
    counts = list(map(_message_tokens, messages))
    return PromptUsage(sum(counts), counts[0] if messages[0]["role"] == "system" else 0)


def tokens_in(text: str) -> int:
    """Return the tokens of a text."""
    return -(-len(text) // TOKEN)


def _message_tokens(message: dict[str, Any]) -> int:
    content = message.get("content")
    if isinstance(content, str):
        return 1 + tokens_in(content)
    others: int = sum(part["type"] != "text" for part in content or ())
    return 1 + tokens_in(text_of(content)) + others * IMAGE_TOKENS


def _answer_tokens(choice: dict[str, Any]) -> int:
    message = choice["message"]
    count = tokens_in(message["content"] or "")
    if len(message) > 2:  # more than a role and a content
        count += tokens_in(message.get("reasoning_content") or "")
        for call in message.get("tool_calls", ()):
            count += tokens_in(call["function"]["arguments"])
    return max(1, count)


def _choice(
    body: dict[str, Any], prompt: Prompt, model: str, seed: int, index: int
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or DEFAULT_MAX_TOKENS
    room = limit * TOKEN
    thinks = "reasoning_effort" in body or "thinking" in body
    if thinks and (thought := _thought(body)):
        message["reasoning_content"] = thought[:room]
        room = max(0, room - len(thought))
    if body.get("tools") and (call := _tool_call(body, seed)):
        message["tool_calls"] = [call]
        return {"index": index, "message": message, "finish_reason": "tool_calls"}
    text, finish = _answer(body, prompt, model, seed, index), "stop"
    if text is not None:
        if body.get("stop"):
            text = _stopped(text, body["stop"])
        if len(text) > room:
            text, finish = text[:room], "length"
    message["content"] = text
    return {"index": index, "message": message, "finish_reason": finish}


def _stopped(text: str, stop: str | list[str]) -> str:
    for sequence in [stop] if isinstance(stop, str) else stop:
        if sequence:
            text = text.partition(sequence)[0]
    return text


def _thought(body: dict[str, Any]) -> str:
    effort = body.get("reasoning_effort")
    if (body.get("thinking") or {}).get("type") == "enabled":
        effort = body["thinking"].get("budget_tokens", True)
    if effort is None or effort is False or effort in ("none", 0):
        return ""
    sentences = _THOUGHT.get(effort, 2) if isinstance(effort, str) else 2
    text = " ".join(["The toy model pretends to think."] * sentences)
    return text[: effort * TOKEN] if isinstance(effort, int) and effort is not True else text


def _tool_call(body: dict[str, Any], seed: int) -> dict[str, Any] | None:
    tools = body["tools"]
    choice = body.get("tool_choice") or "auto"
    if choice == "none":
        return None
    if choice == "auto" and messages_in(body)[-1]["role"] != "user":
        return None
    wanted = forced_tool(choice) or tools[seed % len(tools)]["function"]["name"]
    function = next(tool["function"] for tool in tools if tool["function"]["name"] == wanted)
    arguments = instance_of(function.get("parameters") or {"type": "object"}, seed)
    return {
        "id": f"call_{seed & 0xFFFFFFFFFFFF:012x}",
        "type": "function",
        "function": {"name": wanted, "arguments": orjson.dumps(arguments).decode()},
    }


def _answer(body: dict[str, Any], prompt: Prompt, model: str, seed: int, index: int) -> str | None:
    for name, argument in prompt.markers.items():
        if name in _REPLIES:
            return _REPLIES[name](prompt.text, argument)
    if choices := body.get("guided_choice"):
        chosen: str = choices[seed % len(choices)]
        return chosen
    text = _small_talk(messages_in(body), prompt.text, model, index)
    schema = schema_in(body)
    if schema is not None:
        return orjson.dumps(instance_of(schema, seed)).decode()
    if wants_json(body.get("response_format")):
        return orjson.dumps({"answer": text}).decode()
    return text


def _small_talk(messages: list[dict[str, Any]], asked: str, model: str, index: int) -> str:
    parts = [f"This is the emulator's toy model in place of {model}."]
    if index:
        parts.append(f"It says it another way ({index + 1}).")
    last = messages[-1]
    if last["role"] == "tool":
        parts.append(f"The tool answered: {text_of(last.get('content'))[:80]}")
    else:
        more = "..." if len(asked) > 80 else ""
        parts.append(f"You wrote: {asked[:80]}{more}")
    content = last.get("content")
    if isinstance(content, list) and (others := sum(p["type"] != "text" for p in content)):
        parts.append(f"It was shown {others} image(s), and cannot see.")
    return " ".join(parts)
