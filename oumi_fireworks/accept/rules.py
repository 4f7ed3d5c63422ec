"""The options ``accept`` and ``on_reject``: what they may say, and what each of it means.

Light, as all options are: schemas are looked into in :mod:`oumi_fireworks.accept.schemas`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from oumi_fireworks.errors import OptionError
from oumi_fireworks.request_fields import FLAG, did_you_mean, is_int, is_number, shown

FINISH_REASONS = ("stop", "length", "tool_calls", "function_call", "content_filter")
"""Why an answer ends: the API reference of chat completions, and that of OpenAI."""

SOUND_FINISH_REASONS = ("stop", "tool_calls")
"""Why an answer ends that is whole."""

MOST_TOKENS_BY_FACTOR = 8192
"""Tokens up to which a factor raises the limit of an answer. An absolute number may be higher."""

Test = Callable[[Any], str | None]
"""A test of the user's: takes the answered conversation, returns None or why it does not hold."""

_FACTOR = re.compile(r"[x×](\d+(?:\.\d+)?)")
_STEP = re.compile(r"\+\d+(?:\.\d+)?")


@dataclass(frozen=True)
class AcceptRules:
    """What an answer has to be.

    Attributes:
        finish_reason: Why it may end; empty for any reason.
        not_empty: Whether it has to say something, be it a tool call.
        json: Whether its text has to be JSON.
        schema: The JSON schema of its text: a mapping, a JSON text or a Pydantic class; True for
            the one of guided decoding; None for none.
        tools: Whether its tool calls have to fit the tools that were offered.
        test: A test of the user's.
        keep: Whether the best of the rejected answers goes into the output at last.
    """

    finish_reason: tuple[str, ...] = ()
    not_empty: bool = False
    json: bool = False
    schema: object = None
    tools: bool = False
    test: Test | None = None
    keep: bool = False


@dataclass(frozen=True)
class Growth:
    """How the limit of an answer's tokens grows.

    Attributes:
        factor: What it is multiplied by, each time; 1 leaves it.
        to: What it becomes; None leaves it to the factor.
    """

    factor: float = 1.0
    to: int | None = None


@dataclass(frozen=True)
class OnReject:
    """How a rejected row is run again.

    Attributes:
        max_new_tokens: How the limit of its tokens grows.
        temperature: What is added to the temperature, each time.
        repair: In how many further attempts, from the first one on, the model is shown its answer
            and what is wrong with it.
        attempts: How often it is run again at the most.
    """

    max_new_tokens: Growth = Growth()
    temperature: float = 0.0
    repair: int = 0
    attempts: int = 1


def read_accept(option: object) -> AcceptRules | None:
    """Read the option ``accept``.

    Args:
        option: A mapping of rules, or a function, which is a rule ``test`` by itself.

    Returns:
        The rules; None where there are none.

    Raises:
        OptionError: If a rule does not exist, or has a value that it does not take.
    """
    if option is None:
        return None
    if callable(option):
        return AcceptRules(test=option)
    raw = _mapping("accept", option, AcceptRules)
    rules = AcceptRules(
        finish_reason=_finish_reasons(raw.get("finish_reason")),
        not_empty=_flag("accept.not_empty", raw.get("not_empty")),
        json=_flag("accept.json", raw.get("json")),
        schema=_schema(raw.get("schema")),
        tools=_flag("accept.tools", raw.get("tools")),
        test=_test(raw.get("test")),
        keep=_flag("accept.keep", raw.get("keep")),
    )
    return None if rules in (AcceptRules(), AcceptRules(keep=True)) else rules


def read_on_reject(option: object) -> OnReject | None:
    """Read the option ``on_reject``.

    Raises:
        OptionError: If it says something that does not exist, or nothing that would make a further
            attempt differ from the one before.
    """
    if option is None:
        return None
    raw = _mapping("on_reject", option, OnReject)
    found = OnReject(
        max_new_tokens=_growth(raw.get("max_new_tokens")),
        temperature=_step(raw.get("temperature")),
        repair=_count("on_reject.repair", raw.get("repair"), 0),
        attempts=_count("on_reject.attempts", raw.get("attempts"), 1, least=1),
    )
    if found == OnReject(attempts=found.attempts):
        raise OptionError(
            "on_reject would change nothing: the same request would be paid for again. Say "
            "max_new_tokens (x2, or a number), temperature (+0.2) or repair (1)."
        )
    if found.repair > found.attempts:
        raise OptionError(
            f"on_reject.repair is {found.repair}, and on_reject.attempts only {found.attempts}: "
            "a repair is one of the attempts."
        )
    return found


def _mapping(name: str, option: object, kind: type) -> Mapping[str, object]:
    known = [each.name for each in fields(kind)]
    if not isinstance(option, Mapping):
        raise OptionError(
            f"fireworks option {name}: expected a mapping of {', '.join(known)}, got "
            f"{shown(option)}."
        )
    for key in option:
        if key not in known:
            raise OptionError(
                f"There is no {name}.{key}.{did_you_mean(str(key), known)} There are: "
                f"{', '.join(known)}."
            )
    return option


def _wrong(name: str, expected: str, value: object, hint: str = "") -> OptionError:
    return OptionError(f"{name}: expected {expected}, got {shown(value)}.{hint}")


def _flag(name: str, value: object) -> bool:
    if value is None:
        return False
    if not FLAG.holds(value):
        raise _wrong(name, FLAG.expected, value)
    return bool(value)


def _count(name: str, value: object, default: int, *, least: int = 0) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or not is_int(value) or value < least:
        raise _wrong(name, f"a whole number, {least} or more", value)
    return value


def _finish_reasons(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    given = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    expected = f"a list of {', '.join(FINISH_REASONS)}"
    for each in given:
        if not isinstance(each, str) or each not in FINISH_REASONS:
            hint = did_you_mean(each, FINISH_REASONS) if isinstance(each, str) else ""
            raise _wrong("accept.finish_reason", expected, value, hint)
    if not given:
        raise _wrong("accept.finish_reason", f"{expected} that is not empty", value)
    return tuple(given)


def _schema(value: object) -> object:
    if value is None or value is False:
        return None
    if value is True or isinstance(value, (type, Mapping, str)):
        return value
    raise _wrong("accept.schema", "true (that of guided_decoding) or a JSON schema", value)


def _test(value: object) -> Test | None:
    if value is not None and not callable(value):
        raise _wrong("accept.test", "a Python function, which YAML cannot hold", value)
    return value


def _growth(value: object) -> Growth:
    if value is None:
        return Growth()
    if isinstance(value, int) and is_int(value) and value > 0:
        return Growth(to=value)
    match = _FACTOR.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 1:
        raise _wrong(
            "on_reject.max_new_tokens", "a factor above 1, such as x2, or a whole number", value
        )
    return Growth(factor=float(match[1]))


def _step(value: object) -> float:
    """Read what is added to the temperature. YAML takes ``+0.2`` for the number 0.2."""
    if value is None:
        return 0.0
    if isinstance(value, str) and _STEP.fullmatch(value):
        return float(value)
    if isinstance(value, int | float) and is_number(value) and 0 < value <= 2:
        return float(value)
    raise _wrong("on_reject.temperature", "what is added each time, such as +0.2", value)
