"""The report of a batch, written as a page for a browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from oumi_fireworks.batch import Answer, BatchResults, Rejected, ResultIndex, Snapshot
from oumi_fireworks.cli.batch.snapshots import ending
from oumi_fireworks.cli.terminal import say
from oumi_fireworks.grammar import number
from oumi_fireworks.money import Prices, Usage
from oumi_fireworks.report import (
    JobFacts,
    RejectedAnswers,
    RejectedExample,
    ReportBuilder,
    Row,
    RunFacts,
)
from oumi_fireworks.tables.sink import FinishedRow


def write_report(
    report: ReportBuilder,
    path: Path,
    results: BatchResults,
    prices: Prices | None,
    online_prices: Prices | None = None,
    bad_lines: int = 0,
    rejections: Sequence[RejectedAnswers] = (),
    advice: Sequence[str] = (),
) -> None:
    """Complete a report with what is known of the run, write it, and say where.

    A run that had nothing to send has an attempt without jobs, and no batch.

    Args:
        report: The report, which has seen the rows.
        path: Where it goes.
        results: What the batch has brought.
        prices: What tokens cost; None where that is not known.
        online_prices: What they cost online, after a deadline.
        bad_lines: Lines of the input that were left out.
        rejections: The answers that did not hold (:func:`rejected_answers`).
        advice: What is worth knowing of the answers, each a sentence.

    Raises:
        WriteError: If it cannot be written.
    """
    snapshots = results.snapshots
    last, jobs = snapshots[-1], snapshots[0].jobs
    report.set_run(
        RunFacts(
            batch_id=snapshots[0].batch_id if jobs else None,
            model=(jobs[0].model or None) if jobs else None,
            state=last.state,
            jobs=tuple(_job_facts(snapshots)),
            prices=prices,
            online_prices=online_prices,
            paid=_paid(snapshots),
            online=results.online,
            notes=(*([ending(last)] if last.error else []), *notes_on(bad_lines), *advice),
            rejections=tuple(rejections),
        )
    )
    write_page(report, path)


class ReportFeed:
    """Shows a report the rows as they are delivered.

    Args:
        report: The report.
    """

    def __init__(self, report: ReportBuilder) -> None:
        self._report = report

    def see(self, finished: FinishedRow) -> None:
        """Add a row."""
        sent = finished.sent
        assert sent is not None
        if finished.completion is not None and finished.rejected is None:
            self._report.add(Row.from_oumi(sent.index, finished.answered()))
            return
        asked = sent.conversation()
        if finished.rejected is not None:
            self._report.add(
                Row.from_rejected(
                    sent.index,
                    finished.error,
                    dict(finished.rejected),
                    conversation_id=asked.conversation_id,
                    prompt=asked.to_dict()["messages"],
                )
            )
            return
        self._report.add(
            Row.from_failure(
                sent.index,
                finished.error,
                conversation_id=asked.conversation_id,
                prompt=asked.to_dict()["messages"],
            )
        )


def notes_on(bad_lines: int) -> tuple[str, ...]:
    """Return what a report says about lines of the input that were left out."""
    if not bad_lines:
        return ()
    return (f"{number(bad_lines, 'line')} of the input could not be sent, and is no row here.",)


def write_page(report: ReportBuilder, path: Path) -> None:
    """Write a complete report, and say where.

    Raises:
        WriteError: If it cannot be written.
    """
    report.write(path)
    say(f"Report: {path}")


def rejected_answers(index: ResultIndex) -> Iterator[RejectedAnswers]:
    """Yield the kinds of rejected answers, each with the first and the last one of some rows.

    It reads the result files, so it has to be asked for while they are there.
    """
    kinds = sorted(index.rejections.kinds.items(), key=lambda item: -item[1].answers)
    for name, kind in kinds:
        rows = sorted(set(kind.rows))
        firsts, lasts = index.first_answers(rows), index.outcomes(rows)
        yield RejectedAnswers(
            name,
            kind.answers,
            kind.usage,
            tuple(
                RejectedExample.of(
                    row,
                    {} if first is None else first.completion,
                    last.completion if isinstance(last, Answer | Rejected) else {},
                    holds=isinstance(last, Answer),
                )
                for row, first, last in zip(rows, firsts, lasts, strict=True)
            ),
        )


def _paid(snapshots: Sequence[Snapshot]) -> Usage | None:
    """Return the tokens of all attempts, None where the service states none."""
    return sum((snapshot.used for snapshot in snapshots), Usage()) or None


def _job_facts(snapshots: Sequence[Snapshot]) -> list[JobFacts]:
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
                    window=job.time_allowed,
                    message=job.message or None,
                )
            )
    return facts
