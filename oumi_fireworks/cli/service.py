"""Reaching Fireworks from a command, by default by the environment alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from oumi_fireworks.api import Connection, FireworksClient
from oumi_fireworks.signals import run_whole

T = TypeVar("T")


def with_client(
    use: Callable[[FireworksClient], Awaitable[T]], connection: Connection | None = None
) -> T:
    """Run something with a client, to its end.

    Args:
        use: What to do.
        connection: Where to; by default where the environment says.

    Raises:
        ConfigurationError: If there is no key, or the URL may not carry one.
        KeyboardInterrupt: After ``use`` was cancelled and has cleaned up.
    """
    chosen = connection or Connection.from_environment()

    async def run() -> T:
        async with FireworksClient(chosen) as client:
            return await use(client)

    return run_whole(run)
