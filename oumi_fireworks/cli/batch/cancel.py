"""``oumi-fireworks batch cancel``: stop batches, keeping what they have finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oumi_fireworks.cli.batch.options import Yes, batch_ids
from oumi_fireworks.cli.exit_codes import ExitCode, reports_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oumi_fireworks.api import FireworksClient
    from oumi_fireworks.batch import Snapshot


@reports_errors
def cancel(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The batches.")],
    yes: Yes = False,
) -> None:
    """Stop batches. The rows that they have finished are kept and billed; the others cost nothing.

    A batch that has ended is left alone.
    """
    from oumi_fireworks.cli.service import with_client
    from oumi_fireworks.cli.terminal import confirm, say
    from oumi_fireworks.display.batch_progress import state_words
    from oumi_fireworks.display.words import number

    chosen = batch_ids(ids)
    found = with_client(lambda client: _look(client, chosen))
    for batch in found:
        say(_before(batch))
    running = [batch.batch_id for batch in found if not batch.is_terminal]
    if not running:
        return
    say("What is finished is kept, billed, and can be fetched with `batch results`.")
    if not yes and not confirm(f"Stop {number(len(running), 'batch', 'batches')}?"):
        say("Nothing was stopped.")
        raise typer.Exit(ExitCode.FAILED)
    stopped = with_client(lambda client: _stop(client, running))
    for batch in stopped:
        say(f"{batch.batch_id}: {state_words(batch).lower()}.")


async def _look(client: FireworksClient, ids: Sequence[str]) -> list[Snapshot]:
    from oumi_fireworks.batch import take_snapshot

    return [await take_snapshot(client, batch_id) for batch_id in ids]


async def _stop(client: FireworksClient, ids: Sequence[str]) -> list[Snapshot]:
    from oumi_fireworks.batch import cancel

    return [await cancel(client, batch_id) for batch_id in ids]


def _before(batch: Snapshot) -> str:
    from oumi_fireworks.display.batch_progress import state_words

    if batch.is_terminal:
        return f"{batch.batch_id}: has ended already ({state_words(batch).lower()})."
    progress = batch.progress
    return (
        f"{batch.batch_id}: {state_words(batch).lower()}, {progress.processed:,} of "
        f"{progress.total:,} rows finished."
    )
