"""The pump: sends rows as fast as the service lets them through, and no faster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from oumi_fireworks.online.purse import Purse
from oumi_fireworks.online.run import OnOutcome, OnProgress, PumpReport, Run
from oumi_fireworks.online.settings import PumpSettings
from oumi_fireworks.online.shared_state import SharedState

__all__ = ["Pump"]


class Pump:
    """Sends chat completion requests to one URL and keeps what it learned between runs.

    Runs may overlap: they share the connections, the pace and the ceilings. All of it belongs to
    the loop of the first run; on another loop, as after a fork, the pump begins anew.

    Args:
        settings: How to work.
    """

    def __init__(self, settings: PumpSettings) -> None:
        self.settings = settings
        self._shared: SharedState | None = None

    async def run(
        self,
        requests: Iterable[tuple[int, Mapping[str, Any]]],
        on_outcome: OnOutcome,
        *,
        total: int | None = None,
        on_progress: OnProgress | None = None,
        purse: Purse | None = None,
    ) -> PumpReport:
        """Send all requests, a bounded number at once, and hand over each outcome as it comes.

        Args:
            requests: The caller's number and the body of each request. They are taken one by
                one as they are sent.
            on_outcome: Called on the loop with the number and the completion, or the error that
                the row was given up for. Where it returns a request, the row is not finished, and
                that is sent for it. What it raises ends the run, though answers that have
                arrived by then may still be handed over.
            total: How many requests there are, for progress.
            on_progress: Called on the loop about twice a second, and at the end.
            purse: What all of them may cost. A request that does not fit is not sent: its row
                fails with an :class:`~oumi_fireworks.errors.OverBudgetError`.

        Returns:
            What was done.

        Raises:
            FireworksError: What would have failed every row: a bad key, an unpaid or suspended
                account, a redirection, or nothing but refusals for too long. Requests under way
                were cancelled; rows without an outcome have no answer.
        """
        if self._shared is None or self._shared.loop is not asyncio.get_running_loop():
            self._shared = SharedState(self.settings)
        run = Run(self._shared, self.settings, requests, on_outcome, purse)
        return await run.finish(total, on_progress)

    async def close(self) -> None:
        """Close the connections, unless they are another loop's.

        On a :class:`~oumi_fireworks.loop.BackgroundLoop` that happens by itself.
        """
        shared, self._shared = self._shared, None
        if shared is not None and shared.loop is asyncio.get_running_loop():
            await shared.session.close()
