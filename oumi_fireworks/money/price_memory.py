"""Prices that were looked up before, on disk: loading the table takes a quarter of a second."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from oumi_fireworks.errors import WriteError
from oumi_fireworks.files import write_whole
from oumi_fireworks.money.prices import Prices

PriceByModel = dict[str, Prices | None]
"""Prices by the full name of a model; None where the table has none."""


class PriceMemory:
    """What one table says on one day; what was known of another one is forgotten.

    It is there to save time. So a file that cannot be read or written is none.

    Args:
        path: The file.
        table: Names the table and the day.
    """

    def __init__(self, path: Path, table: str) -> None:
        self._path = path
        self._table = table

    def read(self) -> PriceByModel:
        """Return what is known."""
        try:
            kept = json.loads(self._path.read_bytes())
            if kept["table"] != self._table:
                return {}
            return {model: _prices(each) for model, each in kept["models"].items()}
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            return {}

    def add(self, model: str, prices: Prices | None) -> None:
        """Keep the prices of a model."""
        known = self.read() | {model: prices}
        models = {name: None if each is None else asdict(each) for name, each in known.items()}
        content = json.dumps({"table": self._table, "models": models}, default=str).encode()
        with suppress(WriteError):
            write_whole(self._path, content, advice="", private=True)


def _prices(kept: dict[str, str | None] | None) -> Prices | None:
    if kept is None:
        return None
    cached = kept["cached_input"]
    return Prices(
        input=Decimal(kept["input"] or ""),
        output=Decimal(kept["output"] or ""),
        cached_input=None if cached is None else Decimal(cached),
        source=str(kept["source"]),
    )
