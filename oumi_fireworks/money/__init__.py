"""What tokens cost: prices, estimates, and a budget that holds.

Amounts are :class:`decimal.Decimal` dollars, so that sums are exact.
"""

from oumi_fireworks.money.answer_prices import AnswerPrices
from oumi_fireworks.money.budget import Budget, Charge
from oumi_fireworks.money.most import most_tokens, most_usage
from oumi_fireworks.money.prices import Prices
from oumi_fireworks.money.quote import concern_about, price_of, require_price
from oumi_fireworks.money.table import PriceTable, price_table
from oumi_fireworks.money.usage import Usage, UsageSum

__all__ = [
    "AnswerPrices",
    "Budget",
    "Charge",
    "PriceTable",
    "Prices",
    "Usage",
    "UsageSum",
    "concern_about",
    "most_tokens",
    "most_usage",
    "price_of",
    "price_table",
    "require_price",
]
