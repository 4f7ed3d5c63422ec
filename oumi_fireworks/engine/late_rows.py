"""How rows run online that a batch has not finished by its deadline. Light, as ``wiring`` is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oumi_fireworks.api import Connection
from oumi_fireworks.batch.late import Allowance, OnRow, SendOnline
from oumi_fireworks.engine.config_fields import RemoteParams
from oumi_fireworks.engine.pump_wiring import new_pump
from oumi_fireworks.money import Budget
from oumi_fireworks.online import Pump, Purse
from oumi_fireworks.params import FireworksParams


def sender(pump: Pump, budget: Budget | None) -> SendOnline:
    """Return what sends the late rows of a batch through a pump.

    Args:
        pump: The pump.
        budget: What all of the run may cost, at the prices of online inference; None sets no bound.
    """

    async def send(
        requests: Iterable[tuple[int, Mapping[str, Any]]],
        on_row: OnRow,
        allowance: Allowance | None,
    ) -> None:
        if budget is None or allowance is None:
            await pump.run(requests, on_row)
            return
        with Purse(Budget(allowance.dollars, budget.prices), allowance.journal) as purse:
            await pump.run(requests, on_row, purse=purse)

    return send


def own_sender(
    remote: RemoteParams, options: FireworksParams, connection: Connection, budget: Budget | None
) -> SendOnline:
    """Return what sends the late rows of a batch through a pump of its own. See :func:`sender`."""

    async def send(
        requests: Iterable[tuple[int, Mapping[str, Any]]],
        on_row: OnRow,
        allowance: Allowance | None,
    ) -> None:
        pump = new_pump(remote, options, connection)
        try:
            await sender(pump, budget)(requests, on_row, allowance)
        finally:
            await pump.close()

    return send
