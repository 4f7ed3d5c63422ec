"""When something that the service says does not exist is believed to be gone.

Reads of a control plane may lag: one 404 proves nothing. What is said to be absent has to be
absent in every look over :attr:`~oumi_fireworks.api.Consistency.gone_after` seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.errors import NotFoundError

T = TypeVar("T")

_FEWEST_LOOKS = 3
"""Looks, at the least, that have to find nothing."""


@dataclass
class Absence:
    """What the looks at one thing have said so far. Times are those of one monotonic clock.

    Attributes:
        gone_after: Seconds over which it has to be absent.
    """

    gone_after: float
    _since: float | None = None
    _looks: int = 0

    def present(self) -> None:
        """Note that it was seen: what was said before does not count any more."""
        self._since, self._looks = None, 0

    def absent(self, now: float) -> bool:
        """Note that it was not seen; return whether it is believed to be gone by now."""
        self._since = now if self._since is None else self._since
        self._looks += 1
        return self._looks >= _FEWEST_LOOKS and now - self._since >= self.gone_after


def looks(gone_after: float) -> Backoff:
    """Return the waits between looks at something that is absent for now.

    Args:
        gone_after: Seconds over which it has to be absent.
    """
    return Backoff(first=min(0.5, gone_after / 10), bound=max(gone_after / 8, 0.001))


async def until_visible(client: FireworksClient, call: Callable[[], Awaitable[T]]) -> T:
    """Await a call on something that exists, or may: a 404 is asked again until it is believed.

    Args:
        client: The account.
        call: What to await, as often as it takes.

    Raises:
        NotFoundError: If every answer was that, for as long as it takes to be believed.
        FireworksError: Whatever else the call raises.
    """
    loop = asyncio.get_running_loop()
    gone_after = client.connection.consistency.gone_after
    absence, backoff = Absence(gone_after), looks(gone_after)
    while True:
        try:
            return await call()
        except NotFoundError:
            if absence.absent(loop.time()):
                raise
        await asyncio.sleep(backoff.next())
