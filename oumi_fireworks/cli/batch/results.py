"""``oumi-fireworks batch results``: what a batch has answered, beside what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import BatchResults, download_results, merge_results, take_snapshot
from oumi_fireworks.cli.batch.arguments import batch_ids, own_prices
from oumi_fireworks.cli.batch.conclusion import conclude
from oumi_fireworks.cli.batch.configuration import BatchSettings, load_settings
from oumi_fireworks.cli.batch.fetching import fetch_folder, require_ended
from oumi_fireworks.cli.batch.options import PriceFlags
from oumi_fireworks.cli.batch.page import ReportFeed, rejected_answers, write_report
from oumi_fireworks.cli.batch.paths import (
    choose_inputs,
    local_files,
    local_inputs,
    require_report_apart,
    require_writable,
    results_output,
    spool_inputs,
)
from oumi_fireworks.cli.batch.submitted import find_submitted
from oumi_fireworks.cli.batch.table_flags import TableOptions
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, show_logs
from oumi_fireworks.engine.conversations import why_unreadable
from oumi_fireworks.engine.costs import prices_for
from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.report import RejectedAnswers, ReportBuilder
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.delivery import Delivery, deliver, require_answers
from oumi_fireworks.tables.formats import FileInput
from oumi_fireworks.tables.sink import Sink
from oumi_fireworks.tables.sinks import open_sink


def results(
    ids: Sequence[str],
    inputs: Sequence[str],
    output: str | None,
    *,
    config: str | None,
    overwrite: bool,
    unchecked: bool,
    table: TableOptions,
    report: Path | None,
    price_flags: PriceFlags,
    cost_in_metadata: bool | None,
) -> ExitCode:
    """Fetch the results of a batch that has ended."""
    show_logs()
    chosen, own = batch_ids(ids), own_prices(price_flags)
    if not inputs:
        raise WrongUseError("A report of the results needs their --input; see `batch report`.")
    settings = None if config is None else load_settings(config, [])
    if cost_in_metadata is None:
        cost_in_metadata = settings is not None and settings.fireworks.cost_in_metadata
    rejections = list[RejectedAnswers]()
    with fetch_folder(output) as folder:
        place = results_output(output, folder, overwrite=overwrite)
        written = local_files(place)
        require_writable(*written, report)
        page = None if report is None else ReportBuilder(title=inputs[0])
        files = choose_inputs(inputs, None, leave_out=written, stdin=folder / "stdin")
        require_report_apart(report, [*written, *local_inputs(files)])
        spool_inputs(files)
        rows = FileInput(files, table.input)

        def prices_of(results: BatchResults) -> AnswerPrices:
            return AnswerPrices(prices_for(results.snapshots, own))

        def sink_for(results: BatchResults) -> Sink:
            return open_sink(place, table.output, rows, {}, prices_of(results))

        with busy("Fetching results"):
            delivery, found = with_client(
                lambda client: _go(
                    client,
                    chosen,
                    rows,
                    folder,
                    sink_for,
                    prices_of if cost_in_metadata else lambda _: None,
                    page,
                    settings,
                    rejections,
                    unchecked=unchecked,
                )
            )
    prices = prices_for(found.snapshots, own)
    code = conclude(delivery, found, place, prices)
    if report is not None and page is not None:
        write_report(page, report, found, prices, None, delivery.bad_lines, rejections)
    return code


async def _go(
    client: FireworksClient,
    ids: Sequence[str],
    rows: FileInput,
    folder: Path,
    sink_for: Callable[[BatchResults], Sink],
    metadata_prices_of: Callable[[BatchResults], AnswerPrices | None],
    report: ReportBuilder | None,
    settings: BatchSettings | None,
    rejections: list[RejectedAnswers],
    *,
    unchecked: bool,
) -> tuple[Delivery, BatchResults]:
    reader = ConversationReader(rows)
    require_ended(await take_snapshot(client, ids[0]))
    downloads = await download_results(client, ids, folder)
    prompts, repeats = find_submitted(reader, downloads)
    if settings is not None:
        settings.note_tools(reader.conversations())
    found = await merge_results(
        client,
        downloads,
        reader.rows,
        folder / "input",
        why_unreadable if settings is None else settings.check(),
        prompts=prompts,
        unchecked=unchecked,
        repeats=repeats,
    )
    await asyncio.to_thread(found.index.share)
    require_answers(found)
    observers = [] if report is None else [ReportFeed(report)]
    rejections[:] = rejected_answers(found.index)
    delivery = await deliver(
        reader,
        found,
        sink_for(found),
        observers,
        keep_rejected=settings is not None and settings.keeps_rejected,
        asked="" if settings is None else settings.asked,
        metadata_prices=metadata_prices_of(found),
    )
    return delivery, found
