"""A resumable run, from wherever it stands to its delivery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import BatchResults, BatchRun, Request, Snapshot
from oumi_fireworks.cli.batch.configuration import BatchSettings
from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.cli.terminal import say
from oumi_fireworks.display.batch_progress import BatchProgress
from oumi_fireworks.display.interruptions import run_interrupted
from oumi_fireworks.engine.costs import cost_of
from oumi_fireworks.engine.late_rows import own_sender
from oumi_fireworks.engine.wiring import online_budget
from oumi_fireworks.errors import BatchError
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.grammar import ended
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import Prices
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.delivery import Delivery, require_answers
from oumi_fireworks.tables.output import Output
from oumi_fireworks.tables.remote import RemoteOutput

logger = logger_for(__name__)


def batch_run(
    folder: Path, reader: ConversationReader, settings: BatchSettings, place: Path | None = None
) -> BatchRun:
    """Return the run that keeps its files in a folder."""
    return BatchRun(
        folder,
        batch_rows(reader, settings),
        settings.spec,
        settings.template.shared_fields,
        settings.options,
        settings.check(),
        place,
        own_sender(
            settings.remote,
            settings.fireworks,
            settings.connection(),
            online_budget(settings.fireworks, settings.spec.model, settings.template.shared_fields),
        ),
    )


def batch_rows(
    reader: ConversationReader, settings: BatchSettings
) -> Callable[[], Iterator[Request]]:
    """Return what gives the rows; what the user should know of them is said once."""
    said: set[str] = set()

    def rows() -> Iterator[Request]:
        yield from reader.prepared(settings.prepare)
        for line in reader.cautions.lines():
            if line not in said:  # they are read again for a further attempt
                said.add(line)
                logger.warning("%s", line)

    return rows


@contextmanager
def held(batch: BatchRun, require_output: Callable[[], None]) -> Iterator[None]:
    """Hold a run while it is at work. One that has not begun when it fails leaves nothing behind.

    Args:
        batch: The run.
        require_output: Refuses to begin where there is nothing to go on with, and an output to be
            lost.
    """
    if not batch.manifest_path.exists():
        require_output()
    with batch.lock():
        if not batch.manifest_path.exists():
            # Again: another process may have finished the run in this very moment.
            require_output()
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(run_interrupted(batch.current)) from None


async def go(
    client: FireworksClient,
    batch: BatchRun,
    deliver: Callable[[BatchResults], Awaitable[Delivery]],
    events: RunEvents,
    prices: Prices | None,
    require_output: Callable[[], None] = lambda: None,
) -> tuple[Delivery, BatchResults]:
    """Go all the way, from wherever the run stands, and forget the run at the end.

    Args:
        client: The account.
        batch: The run.
        deliver: Puts the results where they belong.
        events: Told what happens, beside the person at the terminal.
        prices: What tokens cost, for the cost so far; None where that is not known.
        require_output: Refuses to begin where an output would be lost; for a run that turns out
            to be over.
    """
    with BatchProgress(cost_of=lambda snapshot: cost_of(snapshot, prices)) as show:

        def report(snapshot: Snapshot) -> None:
            show(snapshot)
            events.saw_batch(snapshot)

        results = await batch.advance(client, report, require_output)
    try:
        require_answers(results)
    except BatchError as error:
        if not results.is_over:
            raise BatchError(
                f"{ended(error)} The run is kept: the same command looks again. To begin anew, and "
                f"pay anew, remove {batch.folder}."
            ) from error
        await batch.finish(client)
        raise
    delivery = await deliver(results)
    if results.is_over:
        await batch.finish(client)
    else:
        kept = (
            "The run is kept: the same command goes on, and nothing is paid twice. To give up "
            f"what is missing, remove {batch.folder}."
        )
        say(kept, "yellow")
        events.needs_a_look(kept)
    events.saw_results(results)
    tell_end(events, delivery)
    return delivery, results


def tell_end(events: RunEvents, delivery: Delivery) -> None:
    """Tell what has become of the rows of a run."""
    events.ended(
        answered=delivery.answered + delivery.kept,
        rejected=delivery.rejected,
        failed=delivery.failed,
        over_budget=delivery.over_budget,
    )


def require_still_free(folder: Path, output: Output, *, is_own: bool, overwrite: bool) -> None:
    """Refuse to replace a file that has appeared while the batch ran.

    Args:
        folder: Where the answers are.
        output: Where they are to go.
        is_own: Whether this run has delivered what is there.
        overwrite: Whether it may be replaced all the same.

    Raises:
        WrongUseError: If there is one, and it is not what this run has delivered before.
    """
    is_own = is_own or (isinstance(output, RemoteOutput) and output.was_begun())
    if overwrite or is_own or not output.exists():
        return
    raise WrongUseError(
        f"{output.name} has appeared while the batch ran. Nothing is lost: the answers are in "
        f"{folder}. Move the file away, or say --overwrite to replace it, and run the same "
        "command again; nothing is paid twice."
    )
