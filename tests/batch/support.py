"""What the tests of batches have in common: rows that can be told apart by their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import (
    Answer,
    BatchRun,
    Failure,
    JobSpec,
    OnOutcome,
    Request,
    ResultIndex,
    RunOptions,
    ShardLimits,
    Snapshot,
    WaitPolicy,
    submit_new,
    watch,
)
from oumi_fireworks.batch.late import SendOnline
from oumi_fireworks.batch.run_input import RowSource
from oumi_fireworks.emulator import Emulator, Pace
from oumi_fireworks.errors import NotFoundError
from oumi_fireworks.prompts import outline_of_request

MODEL = "accounts/fireworks/models/toy-chat"
SPEC = JobSpec(MODEL)
EAGER = WaitPolicy(poll_interval=0.01)


def quick_emulator(**settings: Any) -> Emulator:
    """An emulator whose jobs take some milliseconds, and still expire only after minutes."""
    stages = Pace(1, 1, 1, 1, per_row=0, writing=1, stopping=1, uploading=0.1, updating=1)
    return Emulator(speed=200, pace=stages, **settings)


def still_emulator(*, cancel_route: bool = False) -> Emulator:
    """An emulator whose datasets are ready at once, and whose jobs move only by hand."""
    return Emulator(speed=0, pace=Pace(uploading=0), cancel_route=cancel_route)


def body(index: int, mark: str = "") -> dict[str, Any]:
    """A request that is answered with its own text, unless the mark asks for something else."""
    return {"messages": [{"role": "user", "content": f"row {index} [[echo]]{mark}"}]}


def source(count: int, marks: Mapping[int, str] | None = None) -> RowSource:
    """Rows to run.

    Args:
        count: How many.
        marks: What the emulator is to do with some of them.
    """

    def rows() -> Iterator[Request]:
        for index in range(count):
            asked = body(index, (marks or {}).get(index, ""))
            yield Request(index, asked, outline_of_request(asked))

    return rows


def holds(outcome: Answer | Failure) -> Rejection | None:
    """Reject an answer that does not begin with the number of its row."""
    if isinstance(outcome, Failure):
        return None
    content = outcome.completion["choices"][0]["message"]["content"]
    if content.startswith((f"row {outcome.index} ", "This is the emulator's toy model")):
        return None
    return Rejection("another row", "The answer is that of another row.", 1)


def a_run(
    folder: Path,
    rows: RowSource,
    *,
    on_outcome: OnOutcome | None = None,
    place: Path | None = None,
    send_online: SendOnline | None = None,
    **changes: Any,
) -> BatchRun:
    """A run of two rows a shard that looks often; ``changes`` are to its options."""
    options: dict[str, Any] = {"limits": ShardLimits(max_rows=2), "wait_policy": EAGER, **changes}
    settings = {"temperature": 0}
    return BatchRun(
        folder, rows, SPEC, settings, RunOptions(**options), on_outcome, place, send_online
    )


def texts(index: ResultIndex) -> dict[int, str]:
    """The answers by row, of those that have one."""
    return {
        outcome.index: outcome.completion["choices"][0]["message"]["content"]
        for outcome in index.outcomes()
        if isinstance(outcome, Answer)
    }


def require_own_answers(index: ResultIndex, count: int) -> None:
    """Assert that every row has an answer, and its own."""
    assert index.counts.is_complete, str(index.counts)
    found = texts(index)
    assert sorted(found) == list(range(count))
    assert not [row for row, text in found.items() if not text.startswith(f"row {row} ")]


async def remove_job(client: FireworksClient, job_id: str) -> None:
    """Remove a job, and wait until it is gone without a trace."""
    await client.jobs.delete(job_id)
    with suppress(NotFoundError):
        while True:
            await client.jobs.get(job_id)


class _SubmittedError(Exception):
    """Stops a run when it has submitted its first attempt."""


async def prepare(run: BatchRun, client: FireworksClient) -> str:
    """Bring a run to where its jobs exist and have been seen; return the batch's id."""

    def stop(snapshot: Snapshot) -> None:
        raise _SubmittedError

    with suppress(_SubmittedError):
        await run.advance(client, stop)
    assert run.batch_id is not None
    return run.batch_id


async def submit_two_jobs(client: FireworksClient, folder: Path, rows: int = 4) -> str:
    """Submit a batch of two shards; return its id."""
    return await submit_new(
        client, source(rows)(), SPEC, folder=folder, limits=ShardLimits(max_rows=2), concurrency=2
    )


async def submit(client: FireworksClient, folder: Path, rows: int = 4, **marks: str) -> str:
    """Submit two rows a job; ``row_1="[[fail]]"`` marks one."""
    marked = {int(name.removeprefix("row_")): mark for name, mark in marks.items()}
    return await submit_new(
        client,
        source(rows, marked)(),
        SPEC,
        folder=folder / "spool",
        limits=ShardLimits(max_rows=2),
        concurrency=2,
    )


async def run_to_end(client: FireworksClient, folder: Path, rows: int = 4, **marks: str) -> str:
    """Submit as :func:`submit` does, and wait."""
    batch = await submit(client, folder, rows, **marks)
    await watch(client, batch, EAGER)
    return batch
