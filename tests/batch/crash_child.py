"""A process that takes a batch from its input to its output, to be killed at any moment.

``python crash_child.py`` imports everything once and then forks a child for each order that it
reads from its stdin, so that a start costs milliseconds. Orders are lines of JSON::

    {"connection": {"root_url", "api_key", "account"},    to whom
     "input": path, "output": path, "folder": path,       bodies, answers, the run's folder
     "max_rows": of a shard, 2 by default,
     "key": of the batch, none by default,
     "sender": who says to be sending, "first" by default,
     "deadline": seconds until the rest runs online, never by default,
     "gone_after": seconds until absence is believed, 0.05 by default,
     "on_reject": the option or null}                     asks for answers again that do not hold

What is answered, and what any order may have, is said in ``mortal.py``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from oumi_fireworks.accept.again import Again
from oumi_fireworks.accept.rules import read_on_reject
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.api import Connection, Consistency, FireworksClient, RetryPolicy
from oumi_fireworks.batch import (
    Answer,
    BatchResults,
    BatchRun,
    Failure,
    JobSpec,
    Request,
    RunOptions,
    ShardLimits,
    WaitPolicy,
)
from tests.batch.late import online_sender
from tests.batch.mortal import serve

_MODEL = "accounts/fireworks/models/toy-chat"
_QUICK = RetryPolicy(attempts=5, wait_initial=0.001, wait_max=0.01, wait_jitter=0.001)


def take_to_the_end(order: dict[str, Any]) -> None:
    """Run the batch, write the output, forget the run. Nothing if all that was done before."""
    folder, output = Path(order["folder"]), Path(order["output"])

    def rows() -> Iterator[Request]:
        with Path(order["input"]).open() as file:
            for index, line in enumerate(file):
                yield Request(index, json.loads(line))

    policy = read_on_reject(order.get("on_reject"))
    options = RunOptions(
        ShardLimits(max_rows=order.get("max_rows", 2)),
        wait_policy=WaitPolicy(poll_interval=0.01),
        key=order.get("key"),
        deadline=timedelta(seconds=order["deadline"]) if "deadline" in order else None,
        again=None if policy is None else Again(policy, {"temperature": 0.0}),
    )
    to = order["connection"]
    run = BatchRun(
        folder,
        rows,
        JobSpec(_MODEL),
        {},
        options,
        None if policy is None else holds,
        send_online=online_sender(to["root_url"], to["api_key"], order.get("sender", "first")),
    )

    consistency = Consistency(order.get("gone_after", 0.05), results_timeout=30.0)

    async def run_it() -> None:
        connection = Connection(**order["connection"], retry=_QUICK, consistency=consistency)
        async with FireworksClient(connection) as client:
            write(await run.advance(client), output)
            await run.finish(client)

    with run.lock():
        if run.manifest_path.exists() or not output.exists():
            asyncio.run(run_it())


def holds(outcome: Answer | Failure) -> Rejection | None:
    """Reject an answer that does not begin with the number of its row."""
    if isinstance(outcome, Failure):
        return None
    content = outcome.completion["choices"][0]["message"]["content"]
    if content.startswith(f"row {outcome.index} "):
        return None
    return Rejection("another row", "The answer is that of another row.", 1)


def write(results: BatchResults, output: Path) -> None:
    """Write a line for each row, all or none."""
    temporary = output.with_name(output.name + ".new")
    with temporary.open("w") as file:
        for outcome in results.index.outcomes():
            answer = None
            if isinstance(outcome, Answer):
                answer = outcome.completion["choices"][0]["message"]["content"]
            file.write(json.dumps({"row": outcome.index, "answer": answer}) + "\n")
    temporary.replace(output)


if __name__ == "__main__":
    assert "oumi" not in sys.modules
    serve(take_to_the_end)
