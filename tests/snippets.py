"""The blocks of code in the documents, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.imports import ROOT


class Snippet(NamedTuple):
    """A block of code in a document."""

    place: str
    language: str
    text: str


def snippets_of(document: Path) -> Iterator[Snippet]:
    """Find the blocks in a document, in their order."""
    name = document.relative_to(ROOT).as_posix()
    found = re.finditer(
        r"^```(\w*)\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    for number, block in enumerate(found, 1):
        yield Snippet(f"{name}-{number}", block[1], block[2])


def calls_in(snippet: Snippet) -> Iterator[list[str]]:
    """Find every call of the command line in a snippet of the shell, in words."""
    if snippet.language not in ("sh", "bash", "console"):
        return
    for line in snippet.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while "oumi-fireworks" in words:
            words = words[words.index("oumi-fireworks") :]
            end = words.index("--") if "--" in words else len(words)
            yield [word for word in words[:end] if word != "|"]
            words = words[end + 1 :] if end < len(words) else []
