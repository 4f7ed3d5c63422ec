"""What the tests of the API have in common: a client on an emulator, quick to try again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from oumi_fireworks.api import Connection, Consistency, Dataset, FireworksClient, RetryPolicy
from oumi_fireworks.batch.requests import Request, encode_row
from oumi_fireworks.emulator import Clock, Emulator

T = TypeVar("T")

MODEL = "accounts/fireworks/models/toy-chat"

QUICK = RetryPolicy(attempts=5, wait_initial=0.001, wait_max=0.01, wait_jitter=0.001)
"""Repeats as often as one wants in a test, and waits next to nothing in between."""

TRUSTING = Consistency(gone_after=0.05, results_timeout=0.2)
"""Believes within moments what takes minutes elsewhere."""


def connection(
    emulator: Emulator, retry: RetryPolicy = QUICK, consistency: Consistency = TRUSTING
) -> Connection:
    """The connection to an emulator's account."""
    return Connection(emulator.url, emulator.api_key, emulator.account, retry, consistency)


def with_client(server: Emulator | Connection, use: Callable[[FireworksClient], Awaitable[T]]) -> T:
    """Use a client, on an event loop of its own."""
    to = connection(server) if isinstance(server, Emulator) else server

    async def run() -> T:
        async with FireworksClient(to) as client:
            return await use(client)

    return asyncio.run(run())


def with_key(emulator: Emulator, key: str) -> Connection:
    """The connection to an emulator's account, with another key."""
    return replace(connection(emulator), api_key=key)


async def jobs_as_sent(client: FireworksClient) -> list[dict[str, Any]]:
    """The account's jobs as the service sends them, newest first."""
    path = f"/v1/accounts/{client.jobs.account}/batchInferenceJobs"
    order = {"orderBy": "create_time desc"}
    answer = await client.jobs.transport.request("GET", path, params=order)
    return [dict(job) for job in answer["batchInferenceJobs"]]


async def make_ready_dataset(
    client: FireworksClient, dataset_id: str, rows: int, folder: Path, clock: Clock | None = None
) -> None:
    """Make a dataset of some rows that a job may use.

    Args:
        client: The account.
        dataset_id: Its id.
        rows: How many.
        folder: Gets the file.
        clock: The clock to move where it stands still.
    """
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    path = folder / f"{dataset_id}.jsonl"
    path.write_bytes(b"".join(encode_row(Request(index, body)) for index in range(rows)))
    await client.datasets.create(dataset_id, example_count=rows)
    await client.datasets.upload(dataset_id, path)
    if clock is not None:
        clock.advance(10)
    await until_ready(client, dataset_id)


async def until_ready(client: FireworksClient, dataset_id: str) -> Dataset:
    """Ask until a dataset that was uploaded is ready: the service takes a moment."""
    while not (dataset := await client.datasets.get(dataset_id)).is_ready:
        pass
    return dataset
