"""``batch run --mode online``: the same rows, request by request instead of as a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from oumi_fireworks.api import Connection
from oumi_fireworks.cache import AnswerCache
from oumi_fireworks.cli.batch.configuration import BatchSettings
from oumi_fireworks.cli.batch.whole_run import batch_rows, require_still_free, tell_end
from oumi_fireworks.cli.terminal import say
from oumi_fireworks.display.online_progress import show_progress
from oumi_fireworks.engine.online_rows import OnlineResults, OnlineRows
from oumi_fireworks.engine.pump_wiring import new_pump
from oumi_fireworks.engine.wiring import online_budget
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.online import OnlineProgress
from oumi_fireworks.signals import run_whole
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.delivery import Delivery, RowObserver, deliver
from oumi_fireworks.tables.sink import Sink


@contextmanager
def online_rows(
    folder: Path, reader: ConversationReader, settings: BatchSettings, cache: AnswerCache | None
) -> Iterator[OnlineRows]:
    """Hold the run that keeps its files in a folder."""
    rows = OnlineRows(
        folder,
        batch_rows(reader, settings),
        settings.spec.model,
        {"model": settings.spec.model, "fields": settings.template.shared_fields},
        settings.check(),
        settings.options.dedupe,
        settings.options.again,
        cache,
    )
    with rows.lock():
        yield rows


def run_online(
    rows: OnlineRows,
    settings: BatchSettings,
    connection: Connection,
    reader: ConversationReader,
    sink: Sink,
    observers: Sequence[RowObserver],
    events: RunEvents,
    on_results: Callable[[OnlineResults], None],
    *,
    overwrite: bool,
) -> tuple[Delivery, OnlineResults]:
    """Run rows online, from wherever the run stands, and deliver them.

    Args:
        rows: The run, which is locked.
        settings: What the configuration says.
        connection: The server and the key.
        reader: The input.
        sink: Where the rows go.
        observers: See each row.
        events: Told how far the run is, and what has become of the rows.
        on_results: Told what there is, while the files of the run are there.
        overwrite: Whether an output that has appeared meanwhile is replaced.

    Raises:
        FireworksError: What ended it. What was answered is kept in the folder of the run.
        KeyboardInterrupt: If it was stopped; the same command goes on.
    """
    budget = online_budget(settings.fireworks, settings.spec.model, settings.template.shared_fields)
    prices = settings.prices("online")
    pump = new_pump(settings.remote, settings.fireworks, connection)

    async def run() -> tuple[Delivery, OnlineResults]:
        try:
            with show_progress() as show:

                def on_progress(progress: OnlineProgress) -> None:
                    show(progress.priced(prices))
                    events.saw_online(progress)

                results = await rows.advance(pump, on_progress, budget)
        finally:
            await pump.close()
        require_still_free(rows.folder, sink.output, is_own=rows.is_delivering, overwrite=overwrite)
        on_results(results)
        delivery = await deliver(
            reader,
            results,
            sink,
            observers,
            lambda file: rows.begin_delivery(),
            keep_rejected=settings.keeps_rejected,
            asked=settings.asked,
            metadata_prices=settings.metadata_prices("online"),
        )
        return delivery, results

    try:
        delivery, results = run_whole(run)
    except KeyboardInterrupt:
        say(f"Interrupted. The answers so far are in {rows.folder}: the same command goes on.")
        raise
    if results.is_held:
        say(f"The run is kept in {rows.folder}: the same command with a higher max_cost goes on.")
    else:
        rows.finish()
    tell_end(events, delivery)
    return delivery, results
