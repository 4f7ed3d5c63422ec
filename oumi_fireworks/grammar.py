"""The grammar of messages: counts with their nouns, and one full stop at the end of a sentence."""

from __future__ import annotations

import re

_ENDED = re.compile(r"[.!?…][\"'”’)\]`]*$")
"""The end of a text that needs no further full stop."""


def form(count: float, one: str, several: str | None = None) -> str:
    """Return the form of a word that goes with a count: ``row`` or ``rows``, ``is`` or ``are``."""
    return one if count == 1 else several or one + "s"


def number(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun: ``1 row``, ``12,000 rows``."""
    return f"{count:,} {form(count, one, several)}"


def ended(text: object) -> str:
    """Return a text, such as an error's, as the end of a sentence: with one full stop.

    What the service, a library or a model has written may bring a full stop of its own, or be cut
    off with an ellipsis; then it gets no other one.
    """
    said = str(text).rstrip(" \t\r\n,;:")
    return said if _ENDED.search(said) else said + "."


def clause(text: object) -> str:
    """Return a text as a part of a sentence that goes on after it: without its own full stop."""
    said = str(text).rstrip()
    return said[:-1] if said.endswith(".") and not said.endswith("..") else said
