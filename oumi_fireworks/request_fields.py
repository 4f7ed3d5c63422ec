"""What a chat completion request may hold, field by field.

Sources: the API reference (https://docs.fireworks.ai/api-reference/post-chatcompletions), which the
types of the official client, ``fireworks-ai``, are generated from; and, where a field names it, the
guide to its NIM-compatible models (https://docs.fireworks.ai/guides), which takes fields of vLLM.

The service refuses a wrong value with a 400. Online that costs a request; in a batch it costs the
row, and the same value is in every row. So all that a field's type rules out is said beforehand.
A field that is not here may well exist: it is warned of, and sent if the user insists.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from oumi_fireworks.errors import OptionError
from oumi_fireworks.grammar import ended

UNCHECKED = "unchecked"
"""The key of ``extra_body`` whose fields are sent as they are."""

LONGEST_VALUE_SHOWN = 80
"""Characters of a wrong value that an error shows."""

DEFAULT_MAX_TOKENS = 2048
"""Tokens at which the service ends an answer whose request sets no limit: the API reference."""

_MOST_STOPS = 4
_LEAST_THINKING_TOKENS = 1024


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        expected: In words, to follow "expected".
        holds: Tells whether a value is that.
        choices: The texts that it may be, where these are all.
        schema: The same as JSON Schema, for editors and agents. It may let pass what JSON or JSON
            Schema cannot tell apart, such as 1.0 and 1.
    """

    expected: str
    holds: Callable[[object], bool]
    choices: tuple[str, ...] = ()
    schema: Mapping[str, object] = field(default_factory=dict)

    def __or__(self, other: Rule) -> Rule:
        return Rule(
            f"{self.expected}, or {other.expected}",
            lambda value: self.holds(value) or other.holds(value),
            self.choices + other.choices,
            {"anyOf": [*_alternatives(self.schema), *_alternatives(other.schema)]},
        )


def _alternatives(schema: Mapping[str, object]) -> list[object]:
    """Return the schemas of which a value must follow any."""
    inner = schema.get("anyOf")
    return inner if isinstance(inner, list) and len(schema) == 1 else [dict(schema)]


def is_int(value: object) -> bool:
    """Tell whether a value is a whole number. A bool is none, though it is an int to Python."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number."""
    return is_int(value) or (isinstance(value, float) and math.isfinite(value))


def whole(low: int, high: int | None = None) -> Rule:
    """Make the rule for a whole number in a range, both ends included."""
    if high is None:
        expected = f"a whole number, {low} or more"
    else:
        expected = f"a whole number from {low} to {high}"
    most = math.inf if high is None else high
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return Rule(
        expected,
        lambda value: is_int(value) and low <= value <= most,  # type: ignore[operator]
        schema={"type": "integer", **bounds},
    )


def number_within(low: float, high: float) -> Rule:
    """Make the rule for a number in a range, both ends included."""
    return Rule(
        f"a number from {low} to {high}",
        lambda value: is_number(value) and low <= value <= high,  # type: ignore[operator]
        schema={"type": "number", "minimum": low, "maximum": high},
    )


def one_of(*choices: str) -> Rule:
    """Make the rule for one of some texts."""
    said = " or ".join(map(repr, choices))
    return Rule(said, choices.__contains__, choices, {"enum": list(choices)})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


NULL = Rule("null", lambda value: value is None, schema={"type": "null"})
FLAG = Rule("true or false", lambda value: isinstance(value, bool), schema={"type": "boolean"})
TEXT = Rule("a text that is not empty", _is_text, schema={"type": "string", "minLength": 1})
MAPPING = Rule("a mapping", lambda value: isinstance(value, Mapping), schema={"type": "object"})

_ANY_INT = Rule("a whole number", is_int, schema={"type": "integer"})
_ANY_NUMBER = Rule("a number", is_number, schema={"type": "number"})
_LIST = Rule("a list", lambda value: isinstance(value, list), schema={"type": "array"})
_TEXTS_BY_NAME = Rule(
    "a mapping of texts",
    lambda value: (
        isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values())
    ),
    schema={"type": "object", "additionalProperties": {"type": "string"}},
)


def _is_bias(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        str(token).lstrip("-").isdigit() and is_number(bias) and -100 <= bias <= 100
        for token, bias in value.items()
    )


def _is_stop(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= _MOST_STOPS and all(isinstance(each, str) for each in value)
    return isinstance(value, str)


def _is_thinking(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    budget = value.get("budget_tokens")
    if budget is not None and not (is_int(budget) and budget >= _LEAST_THINKING_TOKENS):
        return False
    return value.get("type") in ("enabled", "disabled")


def _is_tool_choice(value: object) -> bool:
    if isinstance(value, Mapping):
        return value.get("type") == "function" and tool_named_by(value) is not None
    return value in ("none", "auto", "required", "any")


def _is_format(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    kind = value.get("type")
    if kind == "grammar":
        return isinstance(value.get("grammar"), str)
    if kind == "json_schema":
        return isinstance(value.get("json_schema", value.get("schema")), Mapping | str)
    return kind in ("json_object", "text")


def _is_prediction(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("content"), str | list)


def _is_speculation(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(map(is_int, value)))


_EFFORTS = one_of("low", "medium", "high", "xhigh", "max", "adaptive", "none")

RULES: Mapping[str, Rule] = {
    "messages": _LIST,
    "model": TEXT,
    "context_length_exceeded_behavior": one_of("truncate", "error"),
    "echo": FLAG,
    "echo_last": whole(0),
    "frequency_penalty": number_within(-2, 2),
    "function_call": one_of("auto", "none") | MAPPING,
    "functions": _LIST,
    "ignore_eos": FLAG,
    "logit_bias": Rule(
        "a mapping of token ids to numbers from -100 to 100",
        _is_bias,
        schema={
            "type": "object",
            "propertyNames": {"pattern": "^-*[0-9]+$"},
            "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
        },
    ),
    "logprobs": FLAG | whole(0, 5),
    "max_completion_tokens": whole(1),
    "max_tokens": whole(1),
    "metadata": _TEXTS_BY_NAME,
    "min_p": number_within(0, 1),
    "mirostat_lr": _ANY_NUMBER,
    "mirostat_target": _ANY_NUMBER,
    "n": whole(1, 128),
    "parallel_tool_calls": FLAG,
    "perf_metrics_in_response": FLAG,
    "prediction": TEXT
    | Rule(
        "a mapping with a content",
        _is_prediction,
        schema={
            "type": "object",
            "properties": {"content": {"type": ["string", "array"]}},
            "required": ["content"],
        },
    ),
    "presence_penalty": number_within(-2, 2),
    "prompt_cache_isolation_key": TEXT,
    "prompt_cache_key": TEXT,
    "prompt_truncate_len": whole(1),
    "raw_output": FLAG,
    "reasoning_effort": _EFFORTS | FLAG | whole(1),
    "reasoning_history": one_of("disabled", "interleaved", "preserved"),
    "repetition_penalty": number_within(0, 2),
    "response_format": Rule(
        "a mapping whose type is json_object, json_schema, grammar or text, with a json_schema or "
        "a grammar where its type says so",
        _is_format,
        schema={
            "type": "object",
            "properties": {"type": {"enum": ["json_object", "json_schema", "grammar", "text"]}},
            "required": ["type"],
        },
    ),
    "return_token_ids": FLAG,
    "safe_tokenization": FLAG,
    "seed": _ANY_INT,
    "service_tier": one_of("auto", "default", "flex", "priority"),
    "speculation": Rule(
        "a text or a list of token ids",
        _is_speculation,
        schema={"type": ["string", "array"], "items": {"type": "integer"}},
    ),
    "stop": Rule(
        f"a text, or a list of {_MOST_STOPS} texts at most",
        _is_stop,
        schema={
            "type": ["string", "array"],
            "items": {"type": "string"},
            "maxItems": _MOST_STOPS,
        },
    ),
    "stream": FLAG,
    "stream_options": MAPPING,
    "temperature": number_within(0, 2),
    "thinking": Rule(
        "a mapping such as {type: enabled, budget_tokens: 2048}, whose type is enabled or disabled "
        f"and whose budget is {_LEAST_THINKING_TOKENS} or more",
        _is_thinking,
        schema={
            "type": "object",
            "properties": {
                "type": {"enum": ["enabled", "disabled"]},
                "budget_tokens": {
                    "anyOf": [
                        {"type": "integer", "minimum": _LEAST_THINKING_TOKENS},
                        {"type": "null"},
                    ]
                },
            },
            "required": ["type"],
        },
    ),
    "tool_choice": Rule(
        "'none', 'auto', 'required', or {type: function, function: {name: ...}}",
        _is_tool_choice,
        schema={
            "anyOf": [
                {"enum": ["none", "auto", "required", "any"]},
                {
                    "type": "object",
                    "properties": {"type": {"const": "function"}},
                    "required": ["type"],
                },
            ]
        },
    ),
    "tools": _LIST,
    "top_k": whole(0, 100),
    "top_logprobs": whole(0, 5),
    "top_p": number_within(0, 1),
    "typical_p": number_within(0, 1),
    "user": TEXT,
    # From here on: the fields of vLLM that Fireworks' guide to NIM lists as taken or translated.
    "chat_template_kwargs": MAPPING,
    "guided_choice": _LIST,
    "guided_grammar": TEXT,
    "guided_json": MAPPING | TEXT,
    "min_tokens": whole(0),
    "truncate_prompt_tokens": whole(1),
}
"""The fields that are known, and what each must be. Any may be null, which leaves it out."""

_NOT_IN_EXTRA_BODY = {
    "messages": "the messages are the conversation's",
    "model": "the model is model.model_name",
    "stream_options": "whether answers are streamed is up to the option stream",
}

_EXCLUSIVE_FIELDS = (("max_tokens", "max_completion_tokens"), ("thinking", "reasoning_effort"))


def fields_schema() -> dict[str, object]:
    """Return the JSON Schema of ``extra_body``.

    A field that is not known passes: it is left out with a warning, and is no error.
    """
    null = _alternatives(NULL.schema)
    known = {
        name: {"anyOf": [*_alternatives(rule.schema), *null]}
        for name, rule in RULES.items()
        if name not in _NOT_IN_EXTRA_BODY
    }
    unchecked = {"type": "object", "description": "Fields that are sent as they are."}
    return {"type": "object", "properties": {**known, UNCHECKED: unchecked}}


def check_extra_body(extra_body: Mapping[str, object]) -> None:
    """Refuse further request fields that cannot work, before any request is made.

    Args:
        extra_body: Request fields by name; None as a value leaves the field out of requests.

    Raises:
        OptionError: A field is not the user's to set, two fields exclude each other, or a value
            is not what its field takes.
    """
    for name, value in extra_body.items():
        if name == UNCHECKED:
            _check_unchecked(value)
        elif name in _NOT_IN_EXTRA_BODY:
            raise OptionError(f"extra_body.{name} cannot be set: {_NOT_IN_EXTRA_BODY[name]}.")
        elif name == "stream" and value:
            raise OptionError("extra_body.stream cannot be true: say it with the option stream.")
        elif name == "n" and value not in (None, 1):
            raise OptionError(
                f"extra_body.n cannot be {shown(value)}: Oumi keeps one answer a conversation, "
                "the others would be paid for and lost. Repeat conversations in the input instead."
            )
    for one, other in _EXCLUSIVE_FIELDS:
        if extra_body.get(one) is not None and extra_body.get(other) is not None:
            raise OptionError(f"extra_body has both {one} and {other}: Fireworks takes only one.")
    check_values(extra_body, {name: f"extra_body.{name}" for name in extra_body})


def fields_to_send(extra_body: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of ``extra_body`` that are sent: the known ones, and the unchecked ones."""
    unchecked = extra_body.get(UNCHECKED)
    known = {name: value for name, value in extra_body.items() if name in RULES}
    return known | dict(unchecked) if isinstance(unchecked, Mapping) else known


def undocumented_fields(extra_body: Mapping[str, object]) -> list[str]:
    """Say of each field that is not known that it is left out, and what may have been meant."""
    return [
        f"extra_body.{name} is left out: it is not known as a field of Fireworks chat completions."
        f"{did_you_mean(str(name), RULES)} To send it all the same, write it under "
        f"extra_body.{UNCHECKED}."
        for name in extra_body
        if name not in RULES and name != UNCHECKED
    ]


def check_values(fields: Mapping[str, object], settings: Mapping[str, str] | None = None) -> None:
    """Refuse values that their fields cannot have.

    Args:
        fields: Request fields by name; those that are not known, and null, pass.
        settings: What the user calls a field, where that is another name.

    Raises:
        OptionError: A value is of another type, or outside its field's range.
    """
    for name, value in fields.items():
        rule = RULES.get(name)
        if rule is None or value is None:
            continue
        called = (settings or {}).get(name, name)
        if not rule.holds(value):
            hint = did_you_mean(value, rule.choices) if isinstance(value, str) else ""
            raise OptionError(
                f"{called}: Fireworks takes {rule.expected}; got {shown(value)}.{hint}"
            )
        if found := not_sendable(value, called):
            raise OptionError(f"{found}: Fireworks would refuse it.")


def not_sendable(value: object, path: str = "") -> str | None:
    """Find a number that JSON does not have, so that no request can carry it.

    Args:
        value: Made of dictionaries, lists, texts, numbers, booleans and None.
        path: What to call the value.

    Returns:
        Where it is and what it is, such as ``parameters.minimum is NaN``; None if there is none.
    """
    if isinstance(value, float):
        if math.isfinite(value):
            return None
        return f"{path} is {'NaN' if math.isnan(value) else 'Infinity'}, which JSON does not have"
    if isinstance(value, dict):
        inner = ((f"{path}.{name}" if path else str(name), each) for name, each in value.items())
    elif isinstance(value, list | tuple):
        inner = ((f"{path}[{number}]", each) for number, each in enumerate(value))
    else:
        return None
    return next((found for name, each in inner if (found := not_sendable(each, name))), None)


def tool_named_by(choice: object) -> str | None:
    """Return the tool that a ``tool_choice`` names, None where it names none."""
    if not isinstance(choice, Mapping):
        return None
    function = choice.get("function")
    name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
    return name if isinstance(name, str) and name else None


def tool_names(tools: Iterable[object]) -> set[str]:
    """Return the names of a request's tools."""
    functions = (tool.get("function") for tool in tools if isinstance(tool, Mapping))
    return {str(each.get("name")) for each in functions if isinstance(each, Mapping)}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question that names the nearest of the known names, empty if none is near."""
    nearest = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def shown(value: object) -> str:
    """Return a value for an error, in part if it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE_SHOWN else f"{text[:LONGEST_VALUE_SHOWN]}…"


def plain(value: object) -> object:
    """Copy nested mappings and sequences (OmegaConf's too) into dictionaries and lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


def _check_unchecked(fields: object) -> None:
    if not isinstance(fields, Mapping):
        raise OptionError(
            f"extra_body.{UNCHECKED} must be a mapping of request fields, got {shown(fields)}."
        )
    try:
        found = not_sendable(plain(fields), f"extra_body.{UNCHECKED}")
        json.dumps(plain(fields))
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"extra_body.{UNCHECKED} cannot be sent as JSON: {ended(error)}"
        ) from error
    if found:
        raise OptionError(f"{found}: it cannot be sent.")
