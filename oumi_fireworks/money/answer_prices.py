"""What single answers have cost, each by the way it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from oumi_fireworks.completions import ANSWERED_BY, RAN_ONLINE
from oumi_fireworks.money.prices import Prices
from oumi_fireworks.money.usage import Usage


@dataclass(frozen=True, slots=True)
class AnswerPrices:
    """What the answers of a run cost.

    Attributes:
        usual: What tokens cost in the mode of the run; None where that is not known.
        online: What tokens cost of rows that ran online when the deadline of their batch had
            passed; None where that is not known.
    """

    usual: Prices | None
    online: Prices | None = None

    def cost_of(self, answer: Mapping[str, Any]) -> Decimal | None:
        """Return the dollars for an answer; None where its price or its usage is not known.

        One that was not paid for as this row's costs nothing: it is from the answer cache, or
        that of another row that asks the same.

        Args:
            answer: A completion, or the metadata of an answered conversation.
        """
        prices = self.online if answer.get(RAN_ONLINE) else self.usual
        usage = Usage.parse(answer.get("usage"))
        if prices is None or usage is None:
            return None
        return Decimal() if ANSWERED_BY in answer else prices.cost(usage)

    def note(self, metadata: dict[str, Any]) -> None:
        """Write the cost of its answer into the metadata of a conversation: `cost`, in dollars.

        Where it is not known there is none, not even an older one.
        """
        cost = self.cost_of(metadata)
        metadata.pop("cost", None)
        if cost is not None:
            metadata["cost"] = float(cost)
