"""The end of a batch: what is said about it, the report, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oumi_fireworks.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from oumi_fireworks.batch import BatchResults, Snapshot
    from oumi_fireworks.cli.batch.delivery import Delivery
    from oumi_fireworks.report import JobFacts, Prices, ReportBuilder

_KINDS_SHOWN = 5


def conclude(
    delivery: Delivery, results: BatchResults, output: Path | None, prices: Prices | None
) -> ExitCode:
    """Say how a batch went, and return the exit code for it."""
    from oumi_fireworks.cli.batch.writing import errors_path
    from oumi_fireworks.cli.terminal import say
    from oumi_fireworks.display.words import number

    last = results.snapshots[-1]
    if last.error:
        say(_ending(last), "yellow")
    rows = delivery.answered + delivery.failed
    if delivery.failed:
        say(
            f"{number(rows, 'row')}: {delivery.answered:,} answered, {delivery.failed:,} failed.",
            "bold yellow",
        )
        for line in delivery.failures.lines()[:_KINDS_SHOWN]:
            say(f"  {line}")
    else:
        say(f"{number(rows, 'row')}, all answered.", "bold green")
    if delivery.bad_lines:
        say(f"{number(delivery.bad_lines, 'line')} of the input could not be sent.", "yellow")
    _say_usage(results.snapshots, prices)
    if output is not None:
        say(f"Output: {output}")
        if errors_path(output).exists():
            say(f"Errors: {errors_path(output)}")
    return ExitCode.INCOMPLETE if delivery.failed or delivery.bad_lines else ExitCode.ANSWERED


def _say_usage(snapshots: Sequence[Snapshot], prices: Prices | None) -> None:
    from oumi_fireworks.cli.batch.snapshots import cost_of, dollars
    from oumi_fireworks.cli.terminal import say

    parts = [snapshot.progress for snapshot in snapshots]
    tokens_in = sum(part.input_tokens for part in parts)
    tokens_out = sum(part.output_tokens for part in parts)
    if not tokens_in and not tokens_out:
        return
    cost = ""
    if prices is not None:
        cost = f": {dollars(sum(cost_of(part, prices) for part in parts))}"
    say(f"Tokens: {tokens_in:,} in, {tokens_out:,} out{cost}")


def write_report(
    report: ReportBuilder,
    path: Path,
    snapshots: Sequence[Snapshot],
    prices: Prices | None,
    bad_lines: int = 0,
) -> None:
    """Complete a report with what is known of the run, write it, and say where.

    Raises:
        OSError: If it cannot be written; the message names it.
    """
    from oumi_fireworks.report import RunFacts

    last = snapshots[-1]
    report.set_run(
        RunFacts(
            batch_id=snapshots[0].batch_id,
            model=snapshots[0].jobs[0].model or None,
            state=last.state,
            jobs=tuple(_job_facts(snapshots)),
            prices=prices,
            notes=(*([_ending(last)] if last.error else []), *notes_on(bad_lines)),
        )
    )
    write_page(report, path)


def _ending(last: Snapshot) -> str:
    return f"Batch {last.batch_id} ended as {last.state}: {last.error}"


def notes_on(bad_lines: int) -> tuple[str, ...]:
    """Return what a report says about lines of the input that were left out."""
    from oumi_fireworks.display.words import number

    if not bad_lines:
        return ()
    return (f"{number(bad_lines, 'line')} of the input could not be sent, and is no row here.",)


def write_page(report: ReportBuilder, path: Path) -> None:
    """Write a complete report, and say where.

    Raises:
        OSError: If it cannot be written; the message names it.
    """
    from oumi_fireworks.cli.terminal import say

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        report.write(path)
    except OSError as error:
        raise OSError(f"Cannot write the report {path}: {error.strerror or error}.") from error
    say(f"Report: {path}")


def _job_facts(snapshots: Sequence[Snapshot]) -> list[JobFacts]:
    from oumi_fireworks.report import JobFacts

    facts = []
    for attempt, snapshot in enumerate(snapshots, 1):
        for shard, job in enumerate(snapshot.jobs, 1):
            labels = [
                f"attempt {attempt}" if len(snapshots) > 1 else "",
                f"shard {shard}" if len(snapshot.jobs) > 1 else "",
            ]
            facts.append(
                JobFacts(
                    id=job.id,
                    state=job.state,
                    label=", ".join(filter(None, labels)) or None,
                    created=job.created,
                    validated=job.validated,
                    started=job.started,
                    ended=job.ended,
                    rows=job.progress.total or None,
                    message=job.message or None,
                )
            )
    return facts
