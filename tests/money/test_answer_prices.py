"""What single answers have cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from oumi_fireworks.money import AnswerPrices, Prices

PRICES = AnswerPrices(
    Prices(Decimal(1), Decimal(10), Decimal("0.5")), Prices(Decimal(2), Decimal(20))
)
USAGE = {"prompt_tokens": 3_000_000, "completion_tokens": 1_000_000, "cached_tokens": 1_000_000}


@pytest.mark.parametrize(
    ("marks", "cost"),
    [
        ({}, "12.5"),
        ({"ran_online": True}, "26"),
        ({"answered_by": "cache"}, "0"),
        ({"answered_by": "repeat", "ran_online": True}, "0"),
        ({"usage": None}, None),
        ({"usage": "7"}, None),
    ],
)
def test_an_answer_costs_what_its_usage_does_at_the_price_of_the_way_it_came(
    marks: dict[str, Any], cost: str | None
) -> None:
    found = PRICES.cost_of({"usage": USAGE, **marks})
    assert found == (None if cost is None else Decimal(cost))


def test_where_no_price_is_known_nothing_is_said_not_even_that_it_was_free() -> None:
    unknown = AnswerPrices(None)
    assert unknown.cost_of({"usage": USAGE}) is None
    assert unknown.cost_of({"usage": USAGE, "answered_by": "cache"}) is None
    metadata = {"usage": USAGE, "cost": 7}
    unknown.note(metadata)
    assert "cost" not in metadata
    PRICES.note(metadata)
    assert metadata["cost"] == 12.5
