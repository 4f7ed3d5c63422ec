"""A batch at one moment: as JSON, and in the words that several screens share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from oumi_fireworks.api import Job, Phase, Progress
from oumi_fireworks.batch import Snapshot
from oumi_fireworks.cli.costs import as_json as prices_as_json
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.json_outputs import BatchOutput, JobOutput, RowsOutput
from oumi_fireworks.display.words import dollars, roughly
from oumi_fireworks.money import Prices, Usage

_STYLES = {Phase.COMPLETED: "green", Phase.FAILED: "bold red"}


def describe(snapshot: Snapshot, prices: Prices | None = None) -> BatchOutput:
    """Return all that is known of a batch as JSON values."""
    progress, first = snapshot.progress, snapshot.jobs[0]
    return {
        "id": snapshot.batch_id,
        "phase": snapshot.phase.value,
        "state": snapshot.state,
        "ended": snapshot.is_terminal,
        "rows": _rows(progress),
        "percent": progress.percent,
        "tokens": {
            "input": progress.input_tokens,
            "cached_input": progress.cached_tokens,
            "output": progress.output_tokens,
        },
        "model": first.model or None,
        "display_name": first.display_name or None,
        "created_at": _iso(snapshot.created),
        "started_at": _iso(snapshot.started),
        "ended_at": _iso(snapshot.ended),
        "expires_at": _iso(snapshot.expires),
        "window_hours": hours(snapshot),
        "waiting_on_capacity": snapshot.waiting_on_capacity,
        "error": snapshot.error,
        "cost": None if prices is None else float(prices.cost(snapshot.used)),
        "prices": None if prices is None else prices_as_json(prices),
        "jobs": [_job(job) for job in snapshot.jobs],
    }


def style_of(snapshot: Snapshot) -> str:
    """Return the colour of a batch's state."""
    return _STYLES.get(snapshot.phase, "yellow" if snapshot.is_terminal else "cyan")


def usage(snapshots: Sequence[Snapshot], prices: Prices | None) -> str:
    """Return the tokens of some batches, and their cost where it is known; "" for none."""
    total = sum((snapshot.used for snapshot in snapshots), Usage())
    return f"Tokens: {spent(total, prices)}" if total else ""


def spent(tokens: Usage, prices: Prices | None) -> str:
    """Return some tokens in words, and their cost where it is known."""
    cost = "" if prices is None else f": {dollars(prices.cost(tokens))}"
    return f"{tokens.prompt:,} in, {tokens.completion:,} out{cost}"


def ending(last: Snapshot) -> str:
    """Say how a batch has ended that has not come to a good end."""
    return f"Batch {last.batch_id} ended as {last.state}: {last.error}"


def code_of(snapshot: Snapshot) -> ExitCode:
    """Return the exit code for a batch that has ended."""
    if snapshot.phase is Phase.COMPLETED:
        return ExitCode.ROWS_OPEN if snapshot.progress.failed else ExitCode.FINE
    return ExitCode.ROWS_OPEN if snapshot.progress.succeeded else ExitCode.FAILED


def hours(snapshot: Snapshot) -> float:
    """Return the hours that a batch may take, a whole number where they are one."""
    exact = snapshot.window.total_seconds() / 3600
    return int(exact) if exact.is_integer() else exact


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago something was, in few letters: ``3 min``, ``5 h``."""
    if moment is None:
        return "–"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    return " ".join(roughly(max(0.0, seconds)).split()[:2])


def local_time(moment: datetime) -> str:
    """Return a moment in the reader's own time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short_model(name: str) -> str:
    """Return the last part of a model's name, by which people know it."""
    return name.rpartition("/")[2]


def _job(job: Job) -> JobOutput:
    return {
        "id": job.id,
        "state": job.state,
        "rows": _rows(job.progress),
        "input_dataset": job.input_dataset or None,
        "output_dataset": job.output_dataset or None,
        "error": job.message or None,
    }


def _rows(progress: Progress) -> RowsOutput:
    return {
        "total": progress.total,
        "done": progress.processed,
        "answered": progress.succeeded,
        "failed": progress.failed,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
