"""Filters of lists: the part of AIP-160 that people use.

Comparisons (`=`, `!=`, `<`, `<=`, `>`, `>=`), `:` for "has", `AND`, `OR`, `NOT`, `-`,
parentheses, quoted strings, nested fields, and `*` at either end of a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from oumi_fireworks.emulator.wire.protojson import camel

Condition = Callable[[dict[str, Any]], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<operator><=|>=|!=|=|<|>|:)
      | (?P<paren>[()])
      | (?P<minus>-(?=[A-Za-z_(]))
      | (?P<word>[^\s()<>=!:"']+)
    )""",
    re.VERBOSE,
)
_DEEPEST = 50
"""Parentheses and negations within each other: more would go beyond what Python can nest."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z")


class FilterError(ValueError):
    """A filter that cannot be understood."""


def parse_filter(text: str) -> Condition:
    """Return the condition that a filter stands for; an empty one lets everything through.

    Raises:
        FilterError: If it cannot be understood.
    """
    if not text.strip():
        return lambda _item: True
    parser = _Parser(_tokens(text))
    condition = parser.either()
    parser.finish()
    return condition


def field_of(item: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path, in camelCase or snake_case; None if there is none."""
    value: Any = item
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(camel(step))
    return value


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise FilterError(f"unexpected {text[at : at + 20]!r}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def finish(self) -> None:
        if self._at < len(self._tokens):
            raise FilterError(f"unexpected {self._tokens[self._at][1]!r}")

    def either(self) -> Condition:
        options = [self._both()]
        while self._take("word", "OR"):
            options.append(self._both())
        return lambda item: any(option(item) for option in options)

    def _both(self) -> Condition:
        terms = [self._term()]
        while self._take("word", "AND") or self._starts_term():
            terms.append(self._term())
        return lambda item: all(term(item) for term in terms)

    def _term(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FilterError("it is nested too deeply")
        term = self._simple_term()
        self._depth -= 1
        return term

    def _simple_term(self) -> Condition:
        if self._take("word", "NOT") or self._take("minus", "-"):
            inner = self._term()
            return lambda item: not inner(item)
        if self._take("paren", "("):
            inner = self.either()
            if not self._take("paren", ")"):
                raise FilterError("a parenthesis is not closed")
            return inner
        path = self._next("word")
        operator = self._next("operator")
        return _comparison(path, operator, self._value())

    def _value(self) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "string":
            text = self._next("string")
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        return self._next("word")

    def _starts_term(self) -> bool:
        if self._at >= len(self._tokens):
            return False
        kind, text = self._tokens[self._at]
        return (kind in ("word", "minus") and text != "OR") or text == "("

    def _take(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, text):
            self._at += 1
            return True
        return False

    def _next(self, kind: str) -> str:
        if self._at >= len(self._tokens):
            raise FilterError("it ends too early")
        found, text = self._tokens[self._at]
        if found != kind:
            raise FilterError(f"unexpected {text!r}")
        self._at += 1
        return text


def _comparison(path: str, operator: str, value: str) -> Condition:
    def holds(item: dict[str, Any]) -> bool:
        actual = field_of(item, path)
        if operator == ":":
            return _has(actual, value)
        if operator in ("=", "!="):
            return _equal(actual, value) is (operator == "=")
        return _ordered(actual, operator, value)

    return holds


def _has(actual: Any, value: str) -> bool:
    if value == "*":
        return actual not in (None, "", [], {})
    if isinstance(actual, dict):
        return value in actual
    return (
        value.lower() in str(actual).lower() if isinstance(actual, str) else _equal(actual, value)
    )


def _equal(actual: Any, value: str) -> bool:
    if isinstance(actual, bool):
        return value.lower() == str(actual).lower()
    if isinstance(actual, int | float):
        return _number(value) == actual
    if actual is None:
        return value in ("", "null")
    text = str(actual)
    if len(value) > 1 and value.startswith("*") and value.endswith("*"):
        return value[1:-1] in text
    if value.startswith("*"):
        return text.endswith(value[1:])
    if value.endswith("*"):
        return text.startswith(value[:-1])
    return _comparable(text) == _comparable(value)


def _ordered(actual: Any, operator: str, value: str) -> bool:
    left: Any
    right: Any
    if isinstance(actual, int | float) and not isinstance(actual, bool):
        left, right = actual, _number(value)
    elif isinstance(actual, str) and actual.isdecimal() and _number(value) is not None:
        left, right = int(actual), _number(value)  # 64-bit numbers travel as strings
    elif isinstance(actual, str):
        left, right = _comparable(actual), _comparable(value)
    else:
        return False
    if right is None:
        return False
    match operator:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _comparable(text: str) -> str:
    """Return a timestamp with all its digits, so that text compares as time does."""
    match = _TIME.fullmatch(text)
    return f"{match[1]}.{(match[2] or '').ljust(9, '0')}Z" if match else text
