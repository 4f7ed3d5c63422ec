"""The values of a table's cells, as text for a prompt and as JSON."""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import uuid
from collections.abc import Iterable
from typing import Protocol

from oumi_fireworks.user_json import dumps


class Cells(Protocol):
    """The cells of one row."""

    def text(self, column: str) -> str | None:
        """Return a cell as text; None for null.

        Raises:
            ValueError: If it cannot be one.
        """

    def value(self, column: str) -> object:
        """Return a cell as a Python value; None for null."""


def text_of(value: object) -> str | None:
    """Return a value as it stands in a prompt.

    Texts are as they are, numbers as JSON has them, true and false are words, dates and times are
    ISO 8601, lists and structs are JSON; bytes are text if they are UTF-8.

    Raises:
        ValueError: If it is bytes that are no text.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ValueError("it holds bytes that are no text") from error
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    plain = json_of(value)
    return plain if isinstance(plain, str) else dumps(plain).decode()


def are_unicode(texts: Iterable[str]) -> bool:
    """Tell whether texts can be written as UTF-8: no half of a surrogate pair is in them."""
    return all(text.isascii() or _is_unicode(text) for text in texts)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def json_of(value: object) -> object:
    """Return a value as JSON has it.

    What JSON lacks is a text: dates and times as ISO 8601, durations as seconds, decimals as their
    digits, UUIDs as they are usually written, bytes as base64.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [json_of(each) for each in value]
    if isinstance(value, dict):
        return {str(json_of(name)): json_of(each) for name, each in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    return str(value)
