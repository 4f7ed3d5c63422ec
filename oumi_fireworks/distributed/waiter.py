"""Waiting for the jobs of all blocks, in one place."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import Snapshot, watch
from oumi_fireworks.batch.claim import has_begun
from oumi_fireworks.batch.manifest import Attempt
from oumi_fireworks.distributed.settings import BlockSettings
from oumi_fireworks.engine.wiring import wait_policy

_PACKAGE = logging.getLogger("oumi_fireworks")


@dataclass(frozen=True)
class AtWork:
    """What the jobs that are waited for have done so far.

    Attributes:
        batches: How many batches.
        processed: Rows of them that have run.
        total: Rows of them.
        news: Batches that were seen for the first time, or have ended, since this was asked last.
        concerns: What somebody should know of, since this was asked last.
    """

    batches: int
    processed: int
    total: int
    news: tuple[Snapshot, ...] = ()
    concerns: tuple[str, ...] = ()


class Waiter:
    """Waits for any number of batches at once.

    All that it knows is the ids that it is asked about. So one that dies is begun anew, and asked
    again.

    Args:
        settings: What all blocks have in common.
    """

    def __init__(self, settings: BlockSettings) -> None:
        self._settings = settings
        self._client: FireworksClient | None = None
        self._opening = asyncio.Lock()
        self._seen: dict[str, Snapshot] = {}
        self._news: list[Snapshot] = []
        self._concerns = _Concerns()
        _PACKAGE.addHandler(self._concerns)

    async def wait(self, batch: Attempt) -> str:
        """Wait until a batch has ended, and return its id.

        Raises:
            FireworksError: What cannot get better by waiting.
        """
        client, batch_id = await self._open(), batch.batch_id

        def saw(snapshot: Snapshot) -> None:
            if batch_id not in self._seen or snapshot.is_terminal:
                self._news.append(snapshot)
            self._seen[batch_id] = snapshot

        try:
            await watch(client, batch_id, wait_policy(self._settings.options), saw)
        finally:
            self._seen.pop(batch_id, None)
        return batch_id

    async def has_begun(self, key: str) -> bool:
        """Tell whether the batch of a key exists."""
        return await has_begun(await self._open(), key)

    async def at_work(self, after: float) -> AtWork:
        """Return, after some seconds, what the batches that are waited for have done so far."""
        await asyncio.sleep(after)
        parts = [snapshot.progress for snapshot in self._seen.values()]
        news, self._news = self._news, []
        return AtWork(
            len(parts),
            sum(part.processed for part in parts),
            sum(part.total for part in parts),
            tuple(news),
            self._concerns.take(),
        )

    async def close(self) -> None:
        """Close its connections."""
        _PACKAGE.removeHandler(self._concerns)
        client, self._client = self._client, None
        if client is not None:
            await client.__aexit__(None, None, None)

    async def _open(self) -> FireworksClient:
        async with self._opening:
            if self._client is None:
                client = FireworksClient(self._settings.connection())
                self._client = await client.__aenter__()
        return self._client


class _Concerns(logging.Handler):
    """Keeps the warnings of this package for the driver: nobody reads the log of an actor."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())

    def take(self) -> tuple[str, ...]:
        """Return what has come since this was called last."""
        messages, self._messages = self._messages, []
        return tuple(messages)
