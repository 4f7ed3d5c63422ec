"""``oumi-fireworks batch cancel``: stop batches, keeping what they have finished."""

from __future__ import annotations

from collections.abc import Sequence

from oumi_fireworks import batch
from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import Snapshot, take_snapshot
from oumi_fireworks.cli.batch.arguments import batch_ids
from oumi_fireworks.cli.batch.snapshots import describe
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import confirm, print_json, say
from oumi_fireworks.display.batch_progress import state_words
from oumi_fireworks.grammar import number


def cancel(ids: Sequence[str], *, yes: bool, as_json: bool) -> ExitCode:
    """Stop batches."""
    chosen = batch_ids(ids)
    found = {each.batch_id: each for each in with_client(lambda client: _look(client, chosen))}
    for each in found.values():
        say(_before(each))
    running = [batch_id for batch_id, each in found.items() if not each.is_terminal]
    if running:
        say("What is finished is kept, billed, and can be fetched with `batch results`.")
        if not yes and not confirm(f"Stop {number(len(running), 'batch', 'batches')}?"):
            say("Nothing was stopped.")
            return ExitCode.FAILED
    for each in with_client(lambda client: _stop(client, running)) if running else ():
        found[each.batch_id] = each
        say(f"{each.batch_id}: {state_words(each).lower()}.")
    if as_json:
        print_json([describe(each) for each in found.values()])
    return ExitCode.FINE


async def _look(client: FireworksClient, ids: Sequence[str]) -> list[Snapshot]:
    return [await take_snapshot(client, batch_id) for batch_id in ids]


async def _stop(client: FireworksClient, ids: Sequence[str]) -> list[Snapshot]:
    return [await batch.cancel(client, batch_id) for batch_id in ids]


def _before(each: Snapshot) -> str:
    if each.is_terminal:
        return f"{each.batch_id}: has ended already ({state_words(each).lower()})."
    progress = each.progress
    return (
        f"{each.batch_id}: {state_words(each).lower()}, {progress.processed:,} of "
        f"{number(progress.total, 'row')} finished."
    )
