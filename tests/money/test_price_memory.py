"""Prices are looked up once a day, and what cannot be remembered is looked up again."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from oumi_fireworks.money import Prices
from oumi_fireworks.money.price_memory import PriceMemory

PRICES = Prices(Decimal("0.10"), Decimal("0.4"), Decimal("0.05"), "a table")
UNCACHED = Prices(Decimal(1), Decimal("2E-7"))


def test_what_was_found_is_known_again_to_the_last_digit(tmp_path: Path) -> None:
    memory = PriceMemory(tmp_path / "cache" / "prices.json", "table 1")
    assert memory.read() == {}
    memory.add("a", PRICES)
    memory.add("b", UNCACHED)
    memory.add("c", None)
    assert memory.read() == {"a": PRICES, "b": UNCACHED, "c": None}


def test_prices_of_another_table_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    PriceMemory(path, "table 1").add("a", PRICES)
    other = PriceMemory(path, "table 2")
    assert other.read() == {}
    other.add("b", None)
    assert other.read() == {"b": None}
    assert PriceMemory(path, "table 1").read() == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"table": "t"}',
        b'{"table": "t", "models": []}',
        b'{"table": "t", "models": {"a": 1}}',
        b'{"table": "t", "models": {"a": {"input": "x"}}}',
        b'{"table": "t", "models": {"a": {"input": "x", "output": "", "cached_input": null}}}',
    ],
)
def test_a_broken_file_is_none_and_is_replaced(content: bytes, tmp_path: Path) -> None:
    memory = PriceMemory(tmp_path / "prices.json", "t")
    (tmp_path / "prices.json").write_bytes(content)
    assert memory.read() == {}
    memory.add("a", PRICES)
    assert memory.read() == {"a": PRICES}


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = PriceMemory(tmp_path / "file" / "prices.json", "t")
    memory.add("a", PRICES)
    assert memory.read() == {}


LOOK_UP = """
import sys
from oumi_fireworks.money import price_of
print(price_of("accounts/fireworks/models/llama-v3p1-8b-instruct", batch=True))
print("genai_prices" in sys.modules)
"""


def test_a_second_process_finds_the_same_without_loading_the_table(tmp_path: Path) -> None:
    first, second = (
        subprocess.run(
            [sys.executable, "-c", LOOK_UP],
            env={"XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for _ in range(2)
    )
    assert first[0] == second[0]
    assert first[0].startswith("Prices(")
    assert (first[1], second[1]) == ("True", "False")
