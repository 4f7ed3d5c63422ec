"""What sends the late rows of a batch online, to an emulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from oumi_fireworks.batch.late import Allowance, OnRow, SendOnline
from oumi_fireworks.money import Budget, Prices
from oumi_fireworks.online import Pump, PumpSettings, Purse

DOLLAR_A_TOKEN = Prices(Decimal(10**6), Decimal(10**6))
"""So that dollars are tokens."""


def online_sender(
    root_url: str, api_key: str, name: str = "first", prices: Prices = DOLLAR_A_TOKEN
) -> SendOnline:
    """Return what sends rows to the emulator at this URL, one after the other.

    Args:
        root_url: The URL.
        api_key: The key.
        name: Who says to be sending, in the header ``X-Sender``.
        prices: What tokens cost online.
    """

    async def send(
        requests: Iterable[tuple[int, Mapping[str, Any]]],
        on_row: OnRow,
        allowance: Allowance | None,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}", "X-Sender": name}
        url = f"{root_url}/inference/v1/chat/completions"
        settings = PumpSettings(
            url=url, headers=headers, workers=1, backoff_base=0.01, backoff_max=0.02
        )
        pump = Pump(settings)
        try:
            if allowance is None:
                await pump.run(requests, on_row)
                return
            budget = Budget(allowance.dollars, prices)
            with Purse(budget, allowance.journal) as purse:
                await pump.run(requests, on_row, purse=purse)
        finally:
            await pump.close()

    return send
