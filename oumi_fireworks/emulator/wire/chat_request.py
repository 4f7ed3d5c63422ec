"""What the service accepts as the body of a chat completion, online and in a batch row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

ROLES = ("system", "user", "assistant", "tool")
MESSAGE_FIELDS = frozenset(
    {"role", "content", "reasoning_content", "tool_call_id", "tool_calls", "name"}
)
PART_TYPES = ("text", "image_url", "video_url")
_LINK_FIELDS = frozenset({"url", "detail"})
_TOOL_FIELDS = frozenset({"type", "function"})
_FUNCTION_FIELDS = frozenset({"name", "description", "parameters", "strict"})
_EFFORTS = ("low", "medium", "high", "xhigh", "max", "adaptive", "none")
FORMATS = ("json_object", "json_schema", "grammar", "text")


class BadRequest(ValueError):
    """A body that the service refuses.

    Args:
        message: Why, in the service's manner.
        param: The field that is to blame.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


def check_chat_body(body: object) -> dict[str, Any]:
    """Return `body` if it is one that the service accepts; the model's name is not looked at.

    Raises:
        BadRequest: With the reason, if it is not.
    """
    if not isinstance(body, dict):
        raise BadRequest("Input should be a valid dictionary")
    if not body.keys() <= FIELDS.keys():
        extra = next(key for key in body if key not in FIELDS)
        raise BadRequest(f"Extra inputs are not permitted, field: '{extra}'", extra)
    check_structure(body)
    for number, message in enumerate(body.get("messages") or (), 1):
        _check_message(message, number)
    for key, value in body.items():
        check = FIELDS[key]
        if check is not None and value is not None and not check(value):
            raise BadRequest(f"invalid value for field '{key}': {str(value)[:80]}", key)
    _check_together(body)
    return body


def check_structure(body: object) -> dict[str, Any]:
    """Return `body` if it has the structure of a request: messages with roles, or token ids.

    A batch whose rows do not have it fails as a whole; what else is wrong with a row fails that
    row alone.

    Raises:
        BadRequest: With the reason, if it has not.
    """
    if not isinstance(body, dict):
        raise BadRequest("Input should be a valid dictionary")
    messages = body.get("messages")
    if messages is None and body.get("prompt_token_ids") is not None:
        return body
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages: at least one message is required", "messages")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise BadRequest(f"message {number} is not an object", "messages")
        if message.get("role") not in ROLES:
            raise BadRequest(
                f"invalid role {message.get('role')} in message {number}, "
                "must be 'system', 'user', 'assistant' or 'tool'",
                "messages",
            )
    return body


def _check_message(message: dict[str, Any], number: int) -> None:
    role = message["role"]
    _check_keys(message, MESSAGE_FIELDS, f"messages[{number - 1}]")
    content = message.get("content")
    if isinstance(content, str):
        pass
    elif isinstance(content, list):
        for index, part in enumerate(content):
            _check_part(part, number, f"messages[{number - 1}].content[{index}]")
    elif content is not None or not (role == "assistant" and message.get("tool_calls")):
        raise BadRequest(f"content is required in message {number}", "messages")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise BadRequest(f"tool_call_id is required in message {number} of role tool", "messages")
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(map(_is_call, calls))):
        raise BadRequest(f"invalid tool_calls in message {number}", "messages")


def _check_keys(value: dict[str, Any], known: frozenset[str], where: str) -> None:
    if extra := [key for key in value if key not in known]:
        raise BadRequest(f"Extra inputs are not permitted, field: '{where}.{extra[0]}'")


def _check_part(part: object, number: int, where: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or kind not in PART_TYPES:
        raise BadRequest(
            f"invalid content part in message {number}: "
            f"its type must be one of {', '.join(PART_TYPES)}",
            "messages",
        )
    _check_keys(part, frozenset({"type", kind}), where)
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise BadRequest(f"a text part of message {number} has no text", "messages")
        return
    link = part.get(kind)
    if isinstance(link, dict):
        _check_keys(link, _LINK_FIELDS, f"{where}.{kind}")
    url = link.get("url") if isinstance(link, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://", "data:")):
        raise BadRequest(
            f"{kind} in message {number} needs a url that is http, https or base64 data", "messages"
        )
    if url.startswith("data:") and ";base64," not in url[:200]:
        raise BadRequest(f"{kind} in message {number}: its data is not base64", "messages")


def _is_call(call: object) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _check_together(body: dict[str, Any]) -> None:
    if body.get("prompt_token_ids") is not None and body.get("messages") is not None:
        raise BadRequest(
            "messages and prompt_token_ids cannot be specified together", "prompt_token_ids"
        )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise BadRequest(
            "max_tokens and max_completion_tokens cannot be specified together", "max_tokens"
        )
    if body.get("thinking") is not None and body.get("reasoning_effort") is not None:
        raise BadRequest("thinking cannot be specified together with reasoning_effort", "thinking")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise BadRequest("stream_options needs stream to be true", "stream_options")
    for index, tool in enumerate(body.get("tools") or ()):
        _check_keys(tool, _TOOL_FIELDS, f"tools[{index}]")
        _check_keys(tool["function"], _FUNCTION_FIELDS, f"tools[{index}].function")
    choice = body.get("tool_choice")
    names = [tool["function"]["name"] for tool in body.get("tools") or ()]
    if choice in (None, "none", "auto"):
        return
    if not names:
        raise BadRequest("tool_choice needs tools", "tool_choice")
    wanted = forced_tool(choice)
    if wanted is not None and wanted not in names:
        raise BadRequest(f"tool_choice names the function {wanted}, which is not in tools")


def forced_tool(choice: object) -> str | None:
    """Return the function that a `tool_choice` insists on, if it insists on one."""
    if not isinstance(choice, dict):
        return None
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else choice.get("name")
    return name if isinstance(name, str) else None


def schema_in(body: dict[str, Any]) -> Any:
    """Return the JSON schema that a request asks for; None if it asks for none."""
    guided = body.get("guided_json")
    if guided is not None:
        return _parsed(guided) if isinstance(guided, str) else guided
    return schema_of(body.get("response_format"))


def schema_of(response_format: object) -> Any:
    """Return the JSON schema that a `response_format` asks for; None if it asks for none."""
    if not isinstance(response_format, dict):
        return None
    if response_format.get("type") == "json_object":
        return response_format.get("schema")
    if response_format.get("type") != "json_schema":
        return None
    wrapped = response_format.get("json_schema", response_format.get("schema"))
    if isinstance(wrapped, str):
        wrapped = _parsed(wrapped)
    if isinstance(wrapped, dict) and isinstance(wrapped.get("schema"), dict | bool):
        return wrapped["schema"]
    return wrapped


def _parsed(text: str) -> Any:
    """Return a JSON text as its value; None if it is not JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def wants_json(response_format: object) -> bool:
    """Return whether a `response_format` asks for JSON of any form."""
    return isinstance(response_format, dict) and response_format.get("type") == "json_object"


Check = Callable[[Any], bool]


def _integer(low: int, high: int = 2**31 - 1) -> Check:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def _number(low: float, high: float) -> Check:
    return lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _one_of(*values: str) -> Check:
    return lambda v: isinstance(v, str) and v in values


def _choices(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_text, value))


def _schema(value: Any) -> bool:
    return isinstance(_parsed(value) if isinstance(value, str) else value, dict | bool)


def _token_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_integer(0), value))


def _stop(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list) and len(value) <= 4 and all(isinstance(s, str) for s in value)


def _tools(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(tool, dict) and tool.get("type", "function") == "function" and _is_call(tool)
        for tool in value
    )


def _tool_choice(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("none", "auto", "required", "any")
    return forced_tool(value) is not None


def _response_format(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("type") not in FORMATS:
        return False
    return value["type"] != "json_schema" or isinstance(schema_of(value), dict | bool)


def _effort(value: Any) -> bool:
    if isinstance(value, str):
        return value in _EFFORTS
    return isinstance(value, int) and value >= 0


def _thinking(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("type") not in ("enabled", "disabled"):
        return False
    budget = value.get("budget_tokens")
    return budget is None or _integer(1024)(budget)


def _logprobs(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= 5


def _biases(value: Any) -> bool:
    return isinstance(value, dict) and all(_number(-100, 100)(bias) for bias in value.values())


FIELDS: dict[str, Check | None] = {
    "messages": None,
    "model": _text,
    "chat_template_kwargs": _object,
    "context_length_exceeded_behavior": _one_of("error", "truncate"),
    "echo": _boolean,
    "echo_last": _integer(0),
    "frequency_penalty": _number(-2, 2),
    "function_call": None,
    "functions": None,
    "guided_choice": _choices,
    "guided_grammar": _text,
    "guided_json": _schema,
    "ignore_eos": _boolean,
    "logit_bias": _biases,
    "logprobs": _logprobs,
    "max_completion_tokens": _integer(0),
    "max_tokens": _integer(0),
    "metadata": _object,
    "min_p": _number(0, 1),
    "min_tokens": _integer(0),
    "mirostat_lr": _number(float("-inf"), float("inf")),
    "mirostat_target": _number(float("-inf"), float("inf")),
    "n": _integer(1, 128),
    "parallel_tool_calls": _boolean,
    "perf_metrics_in_response": _boolean,
    "prediction": None,
    "presence_penalty": _number(-2, 2),
    "prompt_cache_isolation_key": _text,
    "prompt_cache_key": _text,
    "prompt_token_ids": _token_ids,
    "prompt_truncate_len": _integer(0),
    "raw_output": _boolean,
    "reasoning_effort": _effort,
    "reasoning_history": _one_of("disabled", "interleaved", "preserved"),
    "repetition_penalty": _number(0, 2),
    "response_format": _response_format,
    "return_token_ids": _boolean,
    "safe_tokenization": _boolean,
    "seed": _integer(-(2**63), 2**63 - 1),
    "service_tier": _one_of("auto", "default", "flex", "priority"),
    "speculation": None,
    "stop": _stop,
    "stream": _boolean,
    "stream_options": _object,
    "temperature": _number(0, 2),
    "thinking": _thinking,
    "tool_choice": _tool_choice,
    "tools": _tools,
    "top_k": _integer(0, 100),
    "top_logprobs": _integer(0, 5),
    "top_p": _number(0, 1),
    "truncate_prompt_tokens": _integer(-1),
    "typical_p": _number(0, 1),
    "user": _text,
}
"""Every field of a chat completion request that is known, with the check of its value.

Those of `fireworks-ai` 1.2, and those that Fireworks' page on NIM says are taken or mapped.
"""
