"""The engine's way to Fireworks: its own event loop, and a client for each call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.engine.wiring import RemoteSettings, connection
from oumi_fireworks.loop import BackgroundLoop
from oumi_fireworks.params import FireworksParams
from oumi_fireworks.signals import ended_after_cleanup

T = TypeVar("T")


class Service:
    """Runs coroutines with a client of the account, from any thread.

    Args:
        remote: Where the server is, and the key.
        options: The engine's options.

    Attributes:
        loop: The loop that all of it runs on.
        options: The engine's options.
    """

    def __init__(self, remote: RemoteSettings, options: FireworksParams) -> None:
        self._remote = remote
        self.options = options
        self.loop = BackgroundLoop()

    def call(self, use: Callable[[FireworksClient], Coroutine[Any, Any, T]]) -> T:
        """Run something with a client, and return its result.

        Raises:
            ConfigurationError: If there is no key, or the URL may not carry one.
        """
        to = connection(self._remote, self.options)

        async def run() -> T:
            async with FireworksClient(to) as client:
                return await use(client)

        return self.loop.run(run())

    def call_with_folder(self, use: Callable[[FireworksClient, Path], Coroutine[Any, Any, T]]) -> T:
        """Run something with a client and a folder that goes away afterwards. See :meth:`call`."""
        with self.temporary_folder() as folder:
            return self.call(lambda client: use(client, folder))

    @contextmanager
    def temporary_folder(self) -> Iterator[Path]:
        """Give a folder for as long as the context lasts: in ``run_dir``, else the system's."""
        place = self.options.run_dir
        if place is not None:
            Path(place).mkdir(parents=True, exist_ok=True)
        with (
            ended_after_cleanup(),
            tempfile.TemporaryDirectory(prefix="oumi-fireworks-", dir=place) as folder,
        ):
            yield Path(folder)
