"""One input row of a batch: read, checked, and made into a chat completion request."""

from __future__ import annotations

from typing import Any

import orjson

from oumi_fireworks.emulator.wire.chat_request import BadRequest, check_chat_body, check_structure

CONTEXT_LENGTH = 131_072
"""Tokens to which max_tokens is clamped."""

_ROW_FIELDS = frozenset({"custom_id", "body", "method", "url"})


def read_row(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return the custom_id and the body of an input row.

    Raises:
        BadRequest: If the row's structure is wrong, with the reason.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"invalid JSON: {error}") from None
    if not isinstance(row, dict):
        raise BadRequest("a row must be a JSON object")
    custom_id = row.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        raise BadRequest("custom_id is required and must be a string")
    if not row.keys() <= _ROW_FIELDS:
        extra = next(key for key in row if key not in _ROW_FIELDS)
        raise BadRequest(f"Extra inputs are not permitted, field: '{extra}'")
    return custom_id, check_structure(row.get("body"))


def request_of_row(
    body: dict[str, Any], parameters: dict[str, Any], system_prompt: str | None
) -> dict[str, Any]:
    """Return the request that a row stands for in its job.

    What the row says goes before what the job says, but for the model, which is the job's.
    A max_tokens that is too large is clamped, not refused. The job's system prompt goes before
    every row that does not begin with a system message of its own.

    Raises:
        BadRequest: If the row's body is one that the service would not take online.
    """
    if system_prompt and body.get("prompt_token_ids") is not None:
        raise BadRequest(
            "prompt_token_ids cannot be combined with a system prompt", "prompt_token_ids"
        )
    request = {**parameters, **check_chat_body(body)}
    if "max_completion_tokens" in body and "max_tokens" not in body:
        request.pop("max_tokens", None)
    request.pop("model", None)
    request.pop("stream", None)
    request.pop("stream_options", None)
    for name in ("max_tokens", "max_completion_tokens"):
        if (request.get(name) or 0) > CONTEXT_LENGTH:
            request[name] = CONTEXT_LENGTH
    if system_prompt and request["messages"][0]["role"] != "system":
        first = {"role": "system", "content": system_prompt}
        request["messages"] = [first, *request["messages"]]
    return request
