"""What the options of the engine may be: a rule for each kind of value that is no plain one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from oumi_fireworks.accept.rules import FINISH_REASONS
from oumi_fireworks.options.durations import OPTION_PATTERN, is_duration
from oumi_fireworks.request_fields import MAPPING, Rule, fields_schema, is_number, whole

_URL_SCHEMA = {"type": "string", "pattern": "://"}


def _is_url(value: object) -> bool:
    return isinstance(value, str) and "://" in value


def _are_urls(value: object) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    return all(map(_is_url, value))


def _above_0(unit: str) -> Rule:
    return Rule(
        f"a number of {unit} above 0",
        lambda value: is_number(value) and value > 0,  # type: ignore[operator]
        schema={"type": "number", "exclusiveMinimum": 0},
    )


SECONDS, DOLLARS = _above_0("seconds"), _above_0("dollars")
AT_LEAST_ONE, COUNT = whole(1), whole(0)
DURATION = Rule(
    "a duration such as 30d, 12h or 90m",
    is_duration,
    schema={"type": "string", "pattern": OPTION_PATTERN},
)
FIELDS = Rule("a mapping of request fields", MAPPING.holds, schema=fields_schema())


def _is_price(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and {"input", "output"} <= set(value) <= {"input", "cached_input", "output"}
        and all(is_number(each) and each >= 0 for each in value.values())
    )


PRICE = Rule(
    "the dollars for a million tokens, as {input: 0.10, output: 0.40}, and cached_input if that is "
    "another price",
    _is_price,
    schema={
        "type": "object",
        "properties": {
            name: {"type": "number", "minimum": 0} for name in ("input", "cached_input", "output")
        },
        "required": ["input", "output"],
        "additionalProperties": False,
    },
)

ACCOUNT = Rule(
    "an account id such as 'my-team', without 'accounts/'",
    # It becomes a part of URL paths.
    lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]+", value, re.ASCII) is not None,
    schema={"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
)

URLS = Rule(
    "a URL or a list of URLs",
    lambda value: _is_url(value) or _are_urls(value),
    schema={"anyOf": [_URL_SCHEMA, {"type": "array", "items": _URL_SCHEMA}]},
)

ACCEPT = Rule(
    "a mapping of rules such as {json: true}",
    lambda value: isinstance(value, Mapping) or callable(value),
    schema={
        "type": "object",
        "properties": {
            "finish_reason": {
                "anyOf": [
                    {"enum": list(FINISH_REASONS)},
                    {"type": "array", "minItems": 1, "items": {"enum": list(FINISH_REASONS)}},
                ]
            },
            "schema": {"type": ["boolean", "object", "string"]},
            **{name: {"type": "boolean"} for name in ("not_empty", "json", "tools", "keep")},
        },
        "additionalProperties": False,
    },
)

ON_REJECT = Rule(
    "a mapping such as {max_new_tokens: x2, attempts: 2}",
    MAPPING.holds,
    schema={
        "type": "object",
        "properties": {
            "max_new_tokens": {
                "anyOf": [
                    {"type": "integer", "minimum": 1},
                    {"type": "string", "pattern": r"^[x×][0-9]+(\.[0-9]+)?$"},
                ]
            },
            "temperature": {
                "anyOf": [
                    {"type": "number", "exclusiveMinimum": 0, "maximum": 2},
                    {"type": "string", "pattern": r"^\+[0-9]+(\.[0-9]+)?$"},
                ]
            },
            "repair": {"type": "integer", "minimum": 0},
            "attempts": {"type": "integer", "minimum": 1},
        },
        "anyOf": [{"required": [each]} for each in ("max_new_tokens", "temperature", "repair")],
        "additionalProperties": False,
    },
)
