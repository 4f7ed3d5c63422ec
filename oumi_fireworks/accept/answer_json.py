"""The JSON of an answer: parsed, or why it is none, in words that help."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson

_SHOWN = 40
"""Characters of an answer's beginning that a reason shows."""


class NoJSONError(ValueError):
    """A text is not JSON; the message says why, to follow "the answer"."""


def parse_json(text: str) -> Any:
    """Parse a text that is to be one JSON value and nothing else.

    Raises:
        NoJSONError: If it is not.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        # Half of a surrogate pair is JSON by its grammar, and orjson refuses it.
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise NoJSONError("is nested too deeply") from None
    except ValueError as error:
        raise NoJSONError(_why(text, error)) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is a number that JSON does not have")


def _why(text: str, error: ValueError) -> str:
    begin = text.lstrip()
    if begin.startswith("```"):
        return (
            "stands in a code fence (```): ask for the JSON alone, or set "
            "generation.guided_decoding"
        )
    if begin.startswith("<think"):
        return "begins with the model's thoughts (<think>)"
    if not begin:
        return "is empty"
    if begin[0] in '{["' or begin[0].isdigit():
        return f"has a fault in its JSON: {_fault(error)}"
    if "{" in begin or "[" in begin:
        return f"has other text around its JSON; it begins: {_beginning(begin)}"
    return f"begins: {_beginning(begin)}"


def _fault(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at character {error.pos}"
    return str(error)


def _beginning(text: str) -> str:
    line = " ".join(text[: 2 * _SHOWN].split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
