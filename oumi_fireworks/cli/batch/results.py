"""``oumi-fireworks batch results``: what a batch has answered, beside what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oumi.core.types.conversation import Conversation

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import BatchResults, Snapshot, fetch_results, take_snapshot
from oumi_fireworks.cli.batch.arguments import batch_ids, prices_of
from oumi_fireworks.cli.batch.conclusion import conclude
from oumi_fireworks.cli.batch.delivery import Delivery, deliver, require_answers
from oumi_fireworks.cli.batch.fetching import fetch_folder, require_ended
from oumi_fireworks.cli.batch.page import write_report
from oumi_fireworks.cli.batch.paths import (
    choose_inputs,
    require_report_apart,
    spool_inputs,
    usable_results,
)
from oumi_fireworks.cli.batch.writing import errors_path
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, show_logs
from oumi_fireworks.conversion import check_conversation
from oumi_fireworks.report import ReportBuilder
from oumi_fireworks.tables.conversations import ConversationReader


def results(
    ids: Sequence[str],
    inputs: Sequence[str],
    output: Path | None,
    *,
    overwrite: bool,
    skip_bad: bool,
    report: Path | None,
    price_in: float | None,
    price_out: float | None,
) -> ExitCode:
    """Fetch the results of a batch that has ended."""
    show_logs()
    chosen, prices = batch_ids(ids), prices_of(price_in, price_out)
    target = usable_results(output, overwrite=overwrite)
    if not inputs:
        raise WrongUseError("A report of the results needs their --input; see `batch report`.")
    page = None if report is None else ReportBuilder(title=inputs[0])
    delivery, found = _fetch(chosen, inputs, target, skip_bad, report, page)
    code = conclude(delivery, found, target, prices)
    if report is not None and page is not None:
        write_report(page, report, found.snapshots, prices, delivery.bad_lines)
    return code


def _fetch(
    ids: Sequence[str],
    inputs: Sequence[str],
    output: Path | None,
    skip_bad: bool,
    report: Path | None,
    page: ReportBuilder | None,
) -> tuple[Delivery, BatchResults]:
    with fetch_folder(output) as folder:
        hidden = [] if output is None else [output, errors_path(output)]
        files = choose_inputs(inputs, None, leave_out=hidden, stdin=folder / "stdin")
        require_report_apart(report, [*hidden, *(file.path for file in files)])
        spool_inputs(files)
        reader = ConversationReader(files, _checked, skip_bad=skip_bad)
        with busy("Fetching results"):
            return with_client(lambda client: _go(client, ids, reader, folder, output, page))


async def _go(
    client: FireworksClient,
    ids: Sequence[str],
    reader: ConversationReader,
    folder: Path,
    output: Path | None,
    report: ReportBuilder | None,
) -> tuple[Delivery, BatchResults]:
    first = await take_snapshot(client, ids[0])
    require_ended(first)
    for _ in reader.prepared():
        pass
    _require_same_size(first, reader.rows)
    found = await fetch_results(client, ids, reader.rows, folder)
    require_answers(found)
    return await deliver(reader, found, output, report), found


def _checked(conversation: Conversation, index: int) -> dict[str, object]:
    """Refuse the conversations that were refused when they were submitted."""
    check_conversation(conversation, index)
    return {}


def _require_same_size(batch: Snapshot, rows: int) -> None:
    submitted = batch.progress.total
    if submitted and submitted != rows:
        raise WrongUseError(
            f"The input has {rows:,} conversations, and batch {batch.batch_id} has {submitted:,} "
            "rows: it is not what was submitted. Where lines were skipped then, say --skip-bad."
        )
