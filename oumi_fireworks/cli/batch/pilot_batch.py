"""A pilot as a small batch: half the price, and it goes on after any interruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import BatchRun, Request
from oumi_fireworks.batch.results import OnOutcome
from oumi_fireworks.cli.batch.configuration import BatchSettings
from oumi_fireworks.cli.batch.whole_run import held
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.display.batch_progress import BatchProgress
from oumi_fireworks.engine.costs import cost_of
from oumi_fireworks.engine.pilot import Pilot, note_batch
from oumi_fireworks.engine.run_folder import requests_key, run_folder
from oumi_fireworks.tables.conversations import ConversationReader


def run_as_batch(
    pilot: Pilot, settings: BatchSettings, reader: ConversationReader, rows: frozenset[int]
) -> None:
    """Run the rows of a pilot as a batch of their own. Each row is run once.

    The run has a folder that follows from its requests, so that the same command goes on with it,
    whatever has ended it, and makes no second job.

    Args:
        pilot: Filled when the batch has ended.
        settings: What the configuration says; it names an answer cache, which keeps the answers.
        reader: The input.
        rows: The rows of the pilot.

    Raises:
        FireworksError: What ended it; the same command goes on.
        KeyboardInterrupt: If it was stopped. The batch goes on meanwhile.
    """
    places = sorted(rows)

    def chosen() -> Iterator[Request]:
        drawn = (each for each in reader.prepared(settings.prepare) if each.index in rows)
        for number, request in enumerate(drawn):
            yield replace(request, index=number)

    shared = settings.template.shared_fields
    name = requests_key(chosen(), ["pilot", settings.spec.model, settings.spec.precision, shared])
    run_dir = None if settings.run_dir is None else str(settings.run_dir)
    batch = BatchRun(
        run_folder(None, run_dir, name),
        chosen,
        settings.spec,
        shared,
        replace(settings.options, deadline=None, row_retries=0, again=None),
        _of_input(settings.check(), places),
    )

    async def go(client: FireworksClient) -> None:
        prices = settings.prices()
        with BatchProgress(cost_of=lambda snapshot: cost_of(snapshot, prices)) as show:
            results = await batch.advance(client, show)
        note_batch(pilot, results, places)
        await batch.finish(client)

    with held(batch, lambda: None):
        with_client(go, settings.connection())


def _of_input(check: OnOutcome, places: Sequence[int]) -> OnOutcome:
    """Return a check that knows the rows of a pilot by their places in the input."""
    return lambda outcome: check(replace(outcome, index=places[outcome.index]))
