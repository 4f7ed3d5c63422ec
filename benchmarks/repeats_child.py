"""One submission of the batch benchmark's rows by a run, in a fresh process that does nothing else.

Reads a task as JSON from its arguments, and prints what it measured as one line of JSON: seconds
and CPU seconds from the first row to the jobs, the bytes that the process took more at its peak,
and the rows that were not sent.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from batch import requests

from oumi_fireworks.api import Connection, FireworksClient
from oumi_fireworks.batch import (
    BatchRun,
    Dedupe,
    JobSpec,
    Request,
    RunOptions,
    ShardLimits,
    Snapshot,
    cancel,
)

_KB = 1024


class _SubmittedError(Exception):
    """Ends the measurement."""


def rows(count: int, size: int, share: float) -> Iterator[Request]:
    """Yield rows of which a share, spread evenly, asks what an earlier one asks."""
    repeated = 0
    first: list[Request] = []
    for row in requests(count, size):
        if repeated < share * row.index and len(first) == 100:
            earlier = first[repeated % 100]
            repeated += 1
            yield replace(row, body=earlier.body, digest=earlier.digest)
            continue
        if len(first) < 100:
            first.append(row)
        yield row


def main() -> None:
    """Submit, measure, and stop what was submitted."""
    task = json.loads(sys.argv[1])
    dedupe = Dedupe(task["dedupe"])

    def source() -> Iterator[Request]:
        return rows(task["rows"], task["size"], task["share"])

    def stop(snapshot: Snapshot) -> None:
        raise _SubmittedError

    async def run() -> dict[str, float]:
        async with FireworksClient(Connection.from_environment()) as client:
            before = resource.getrusage(resource.RUSAGE_SELF)
            began = time.perf_counter()
            with suppress(_SubmittedError):
                await batch.advance(client, stop)
            seconds = time.perf_counter() - began
            after = resource.getrusage(resource.RUSAGE_SELF)
            assert batch.batch_id is not None
            await cancel(client, batch.batch_id)
            manifest = json.loads(batch.manifest_path.read_bytes())
            sent = sum(job["rows"] for each in manifest["attempts"] for job in each["jobs"])
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        memory = (after.ru_maxrss - before.ru_maxrss) * _KB
        left_out = task["rows"] - sent
        return {"seconds": seconds, "cpu": used, "memory": memory, "left_out": left_out}

    with tempfile.TemporaryDirectory() as folder:
        options = RunOptions(ShardLimits(by_kind=True, hoist=True), dedupe=dedupe)
        spec = JobSpec("accounts/fireworks/models/toy-chat")
        batch = BatchRun(Path(folder) / "run", source, spec, {}, options)
        with batch.lock():
            print(json.dumps(asyncio.run(run())))


if __name__ == "__main__":
    main()
