"""A pilot as a small batch: half the price, and it goes on after any interruption."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from oumi_fireworks.accept.row_tools import RowTools
from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import Answer, BatchResults, BatchRun, Request
from oumi_fireworks.batch.outcomes import OverBudget
from oumi_fireworks.batch.run_files import RunFiles
from oumi_fireworks.batch.waves import charges
from oumi_fireworks.cache import key_of_body
from oumi_fireworks.cli.batch.configuration import BatchSettings
from oumi_fireworks.cli.batch.whole_run import held
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import say
from oumi_fireworks.display.batch_progress import BatchProgress
from oumi_fireworks.engine.answer_check import answer_check
from oumi_fireworks.engine.costs import cost_of
from oumi_fireworks.engine.pilot import Pilot, PilotRows
from oumi_fireworks.engine.pilot_store import PilotBatch, PilotStore
from oumi_fireworks.errors import OverBudgetError, ResultsLateError
from oumi_fireworks.grammar import ended, number
from oumi_fireworks.money import Budget
from oumi_fireworks.tables.conversations import ConversationReader


@dataclass
class PilotRun:
    """The rows of a pilot as batches: those that earlier pilots have begun, then one of the rest.

    Attributes:
        pilot: Filled as batches end.
        rows: What is known of its rows.
        store: What earlier pilots have left.
        settings: What the configuration says; it names an answer cache, which keeps the answers.
        reader: The input.
    """

    pilot: Pilot
    rows: PilotRows
    store: PilotStore
    settings: BatchSettings
    reader: ConversationReader
    _budget: Budget | None = None
    _sent: set[bytes] = field(default_factory=set)
    _beyond: set[bytes] = field(default_factory=set)

    def run(self) -> None:
        """Run the rows. Each is sent once, whatever has ended the pilots before this one.

        Raises:
            FireworksError: What ended it; the same command goes on.
            KeyboardInterrupt: If it was stopped. The batch goes on meanwhile.
        """
        self._budget = self.settings.options.budget
        earlier = self.store.under_way(set(self.rows.keys.values()))
        self._sent = {key for batch in earlier for key in batch.row_keys()}
        requests, left = self.store.write(self._unsent())
        for batch in earlier:
            rows = number(len(batch.row_keys()), "row")
            say(f"Going on with an earlier pilot, which has sent {rows}.")
            run = self._run_of(batch)
            with held(run, lambda: None):
                self._advance(run, batch)
        if not left:
            return
        batch = self.store.new_batch()
        run = self._run_of(batch)
        with held(run, lambda: None):
            batch.take(requests)
            try:
                self._advance(run, batch)
            except OverBudgetError:
                if batch.is_under_way:
                    raise
                self._note_over_budget(batch)

    def _unsent(self) -> Iterator[Request]:
        """Yield the rows that no pilot has sent and the cache does not know; note the others."""
        others = self._sent - set(self.rows.keys.values())
        model = self.settings.spec.model
        for request in self.reader.prepared(self.settings.prepare):
            key = self.rows.keys.get(request.index)
            if key is None:
                if others and (other := key_of_body(model, request.body)) in others:
                    self._beyond.add(other)
            elif key not in self._sent:
                known = self.rows.known(request.index)
                if known is None:
                    yield request
                else:
                    self.pilot.note_known(request.index, known)

    def _run_of(self, batch: PilotBatch) -> BatchRun:
        tools = RowTools()

        def requests() -> Iterator[Request]:
            for request in batch.requests():
                tools.note(request.index, request.body.get("tools"))
                yield request

        options = replace(
            self.settings.options, deadline=None, row_retries=0, again=None, budget=self._budget
        )
        check = answer_check(self.settings.rules, tools)
        return BatchRun(batch.folder, requests, self.settings.spec, {}, options, check)

    def _advance(self, run: BatchRun, batch: PilotBatch) -> None:
        """Bring a batch to its end, note its outcomes and forget it."""
        keys = batch.row_keys()

        async def go(client: FireworksClient) -> None:
            prices = self.settings.prices()
            with BatchProgress(cost_of=lambda snapshot: cost_of(snapshot, prices)) as show:
                results = await run.advance(client, show)
            if results.shortfall is not None:
                raise ResultsLateError(
                    f"Answers of the pilot that are paid for are not here yet: "
                    f"{ended(results.shortfall)} The same command looks again."
                )
            self._note(results, keys)
            self._settle(run)
            await run.finish(client)

        with_client(go, self.settings.connection())

    def _note(self, results: BatchResults, keys: list[bytes]) -> None:
        rows = {key: row for row, key in self.rows.keys.items()}
        for key, outcome in zip(keys, results.index.outcomes(), strict=True):
            self.store.remember(key, outcome)
            row = rows.get(key)
            if row is None:
                self.pilot.note_beyond(outcome, is_counted=key in self._beyond)
            elif isinstance(outcome, Answer):
                self.pilot.note(row, outcome)
            else:
                self.pilot.note(row, replace(outcome, index=row), results.message(outcome))

    def _settle(self, run: BatchRun) -> None:
        """Leave to the batches that follow what this one has left of the budget."""
        manifest = RunFiles(run.folder).load()
        if self._budget is not None and manifest is not None:
            left = self._budget.left(charges(manifest.attempts))
            self._budget = replace(self._budget, most=left)

    def _note_over_budget(self, batch: PilotBatch) -> None:
        rows = {key: row for row, key in self.rows.keys.items()}
        for key in batch.row_keys():
            self.pilot.note(rows[key], OverBudget(rows[key]))
