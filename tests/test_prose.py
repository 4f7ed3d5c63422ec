"""Rules of CONTRIBUTING.md that can be held by a test, and that no linter holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.imports import PACKAGE, ROOT

FILES = sorted(PACKAGE.rglob("*.py"))
PHRASES = ["bring it about", "from 0 on that has an end"]
"""What stood here, said to be hard to read; each has a plainer word."""


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_constant_is_documented_in_a_docstring_below_it(path: Path) -> None:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        assert not line.lstrip().startswith("#:"), f"{number}: {line}"
        trailing = re.match(r"_?[A-Z][A-Z0-9_]* = [^#\"']*  # (?!noqa|type:|fmt)", line)
        assert not trailing, f"{number}: {line}"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_phrases_that_stopped_readers_do_not_come_back(path: Path) -> None:
    text = " ".join(path.read_text("utf-8").lower().split())
    assert not [phrase for phrase in PHRASES if phrase in text]


LONG = {
    "oumi_fireworks/engine/engine.py": "every public method, with what it promises",
    "oumi_fireworks/params.py": "every option, with its rule and what it is for",
}
"""Files above 500 lines, with the reason."""


def test_a_file_is_long_only_for_a_reason() -> None:
    for path in FILES:
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= 500 or _name(path) in LONG, f"{_name(path)}: {lines} lines"


FOREIGN = {
    "cause", "conflict", "detail", "error", "fault", "message", "problem", "reason", "said",
    "shortfall", "strerror", "why",
}  # fmt: skip
"""Names of texts whose last words somebody else may have written."""

COUNTED = re.compile(
    r" (?:\w+ )?(?:answers|batches|blocks|bytes|characters|checks|columns|conversations|datasets|"
    r"days|fields|files|hours|images|items|jobs|kinds|lines|messages|minutes|requests|rows|"
    r"seconds|times|tokens|workers)\b"
)
"""A noun of which there are several, after its number."""

OWN = sorted(path for path in FILES if "emulator" not in path.relative_to(PACKAGE).parts[0])
"""Files with messages of ours; what the emulator says is worded as the service words it."""


def _fields(path: Path) -> Iterator[tuple[ast.FormattedValue, str]]:
    """Yield each value in an f-string, and the text that follows it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        parts = [*node.values, ast.Constant("")]
        for part, after in pairwise(parts):
            if isinstance(part, ast.FormattedValue):
                text = after.value if isinstance(after, ast.Constant) else ""
                yield part, str(text)


@pytest.mark.parametrize("path", OWN, ids=_name)
def test_no_full_stop_is_put_after_words_of_others(path: Path) -> None:
    for field, after in _fields(path):
        nodes = list(ast.walk(field.value))
        names = {each.id for each in nodes if isinstance(each, ast.Name)}
        names |= {each.attr for each in nodes if isinstance(each, ast.Attribute)}
        is_end = re.match(r"\.(\s|$)", after)
        assert not (is_end and names & FOREIGN), f"{field.lineno}: use grammar.ended"


@pytest.mark.parametrize("path", OWN, ids=_name)
def test_a_noun_agrees_with_its_count(path: Path) -> None:
    for field, after in _fields(path):
        value = field.value
        is_constant = isinstance(value, ast.Name) and value.id.lstrip("_").isupper()
        is_length = isinstance(value, ast.Call) and ast.unparse(value.func) in ("len", "sum")
        is_count = is_length or field.format_spec is not None
        if is_count and not is_constant:
            assert not COUNTED.match(after), f"{field.lineno}: use grammar.number"
