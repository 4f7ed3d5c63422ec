"""Rules of CONTRIBUTING.md that can be held by a test, and that no linter holds."""

from __future__ import annotations

import re
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
