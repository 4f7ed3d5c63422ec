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
from pathlib import Path
from typing import Any

from batch_input import most_tokens, texts
from oumi.core.types.conversation import Conversation, Message, Role

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
from oumi_fireworks.conversion import RequestTemplate
from oumi_fireworks.engine.config_fields import GenerationParams
from oumi_fireworks.engine.conversations import request_rows

_KB = 1024

_MOST_AT_HAND = 100_000
"""Conversations that are made before, and not while it is measured: more would need the memory."""


class _SubmittedError(Exception):
    """Ends the measurement."""


def asked(task: dict[str, Any]) -> Iterator[Conversation]:
    """Yield conversations of which a share, spread evenly, asks what an earlier one asks."""
    repeated = 0
    first: list[str] = []
    for index, text in enumerate(texts(task["rows"], task["size"])):
        if repeated < task["share"] * index and len(first) == 100:
            text = first[repeated % 100]
            repeated += 1
        elif len(first) < 100:
            first.append(text)
        yield Conversation(messages=[Message(role=Role.USER, content=text)])


def main() -> None:
    """Submit, measure, and stop what was submitted."""
    task = json.loads(sys.argv[1])
    dedupe = Dedupe(task["dedupe"])

    template = RequestTemplate(GenerationParams(max_new_tokens=most_tokens(task["size"])))
    given = list(asked(task)) if task["rows"] <= _MOST_AT_HAND else None

    def source() -> Iterator[Request]:
        return request_rows(asked(task) if given is None else given, template.body)

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
