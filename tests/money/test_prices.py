"""What tokens cost, exactly, and where prices come from."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.money import Prices, Usage, price_of, price_table, require_price
from oumi_fireworks.money.most import most_usage

LLAMA = "accounts/fireworks/models/llama-v3p1-8b-instruct"
COUNTS = st.integers(0, 10**13)
USAGES = st.builds(
    lambda prompt, completion, share: Usage(prompt, completion, prompt * share // 100),
    COUNTS,
    COUNTS,
    st.integers(0, 100),
)
AMOUNTS = st.decimals(0, 1000, places=6)
PRICES = st.builds(Prices, AMOUNTS, AMOUNTS, st.none() | AMOUNTS)


def test_cached_tokens_have_their_own_price_if_it_is_known() -> None:
    usage = Usage(prompt=3_000_000, cached=1_000_000, completion=2_000_000)
    prices = {"input": 1.0, "output": 4.0}
    assert Prices.of({**prices, "cached_input": 0.5}).cost(usage) == Decimal("10.5")
    assert Prices.of(prices).cost(usage) == 11


@given(PRICES, st.lists(USAGES, max_size=5))
def test_the_cost_of_a_sum_is_the_sum_of_the_costs_to_the_last_digit(
    prices: Prices, usages: list[Usage]
) -> None:
    total = sum(usages, Usage())
    assert sum((prices.cost(usage) for usage in usages), Decimal()) == prices.cost(total)


@given(PRICES, USAGES)
def test_the_dearest_prices_are_never_less_whatever_comes_from_the_cache(
    prices: Prices, usage: Usage
) -> None:
    uncached = Usage(usage.prompt, usage.completion)
    assert prices.dearest.cost(uncached) >= prices.cost(usage)


def test_the_table_has_the_price_of_each_mode_and_says_how_old_it_is() -> None:
    online, batch = price_of(LLAMA, batch=False), price_of(LLAMA, batch=True)
    assert online is not None
    assert batch is not None
    assert (batch.input, batch.cached, batch.output) == (
        online.input / 2,
        online.cached / 2,
        online.output / 2,
    )
    table = price_table()
    assert str(table.newest) in online.source
    assert "half for batch" in batch.source
    assert table.concern(table.newest + timedelta(days=100)) is None
    concern = table.concern(table.newest + timedelta(days=200))
    assert concern is not None
    assert "200 days old" in concern
    assert "pip install -U genai-prices" in concern


@pytest.mark.parametrize(
    "model",
    [
        "accounts/fireworks/models/toy-chat",
        "accounts/me/models/mine",
        f"{LLAMA}#accounts/me/deployments/d",  # paid by the hour
        "gpt-4o",  # another provider's
        "",
    ],
)
def test_a_model_without_a_price_has_none_and_a_budget_is_refused(model: str) -> None:
    assert price_of(model, batch=True) is None
    with pytest.raises(ValueError, match=r"no known price.*price: \{input.*--price-in"):
        require_price(model, None)


def test_a_tier_of_another_price_has_none_online_and_own_prices_are_taken_as_they_are() -> None:
    fields = {"service_tier": "priority"}
    own = Prices.of({"input": 0.1, "output": 0.2})
    assert price_of(LLAMA, batch=False, fields=fields) is None
    assert price_of(LLAMA, batch=False, fields={"service_tier": "default"}) is not None
    assert price_of(LLAMA, batch=False, fields=fields, own=own) == own
    assert price_of(LLAMA, batch=True, own=own) == own
    assert own.input == Decimal("0.1")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 7}, Usage(5, 7)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(5, 0, 5)),
        ({"completion_tokens": 7, "cached_tokens": 2}, Usage(0, 7)),
        ({"prompt_tokens": True, "completion_tokens": -1}, None),
        ({"prompt_tokens": "5"}, None),
        (None, None),
    ],
)
def test_usage_is_read_in_whatever_shape_it_comes(usage: object, expected: Usage | None) -> None:
    assert Usage.parse(usage) == expected


def test_the_most_that_a_request_can_take_counts_bytes_images_tools_and_choices() -> None:
    message = {"role": "user", "content": "hi"}
    assert most_usage({"messages": [message]}, 40) == Usage(40 + 256, 2048)
    assert most_usage({"messages": [message], "max_tokens": 9, "n": 3}, 40).completion == 27
    assert most_usage({"messages": [message], "tools": [{}]}, 40).prompt == 40 + 256 + 512
    url = "data:image/png;base64," + "A" * 1_000_000
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "hi"}]
    body = {"messages": [{"role": "user", "content": parts}]}
    assert most_usage(body, len(url) + 90).prompt == 90 + 256 + 16_384
