"""Exactly once while the service's reads lag, err and repeat themselves, and processes die.

A run is begun again and again under weather that changes, with wrong answers to any call and
deaths at any moment, those of its delivery included, until the sky is clear. See
``tests/batch/sky.py`` for what must hold. ``make soak`` runs a thousand examples of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from oumi_fireworks.api import Consistency, FireworksClient
from oumi_fireworks.batch import BatchResults, BatchRun, FileMark
from oumi_fireworks.errors import FireworksError
from tests.api.support import connection, with_client
from tests.batch.sky import GONE_AFTER, RESULTS_TIMEOUT, ROWS, UnderAnySky
from tests.batch.support import a_run, prepare, source, texts

PATIENT = Consistency(GONE_AFTER, RESULTS_TIMEOUT)


class Death(StrEnum):
    """A moment of the delivery at which the process may die."""

    WRITTEN = "the output is written, and nothing is noted"
    NOTED = "it is noted, and the output not in its place"
    MOVED = "the output is in its place, and the run not forgotten"


class DiedError(Exception):
    """Stands for the end of the process."""


class RunUnderAnySky(UnderAnySky):
    """A `BatchRun` whose rows go into a file."""

    @property
    def output(self) -> Path:
        """The file. A run whose output is there and that is forgotten is not begun anew."""
        return self.folder / "answers.json"

    @property
    def manifest_path(self) -> Path:
        return self.new_run().manifest_path

    def new_run(self) -> BatchRun:
        return a_run(
            self.folder / "run",
            source(ROWS, self.marks),
            place=self.output,
            row_retries=self.retries,
            delete_datasets=self.tidy,
        )

    async def attempt(self, client: FireworksClient, dies: Death | None = None) -> None:
        """Go the whole way, as a command does, or until a moment of its delivery."""
        run = self.new_run()
        with run.lock():
            if self.output.exists() and not run.manifest_path.exists():
                return
            results = await run.advance(client)
            if results.is_over:
                self.put(run, results, dies)
                await run.finish(client)
            else:
                self.keep(results)

    def keep(self, results: BatchResults) -> None:
        """Take note of results of a run that is not over."""

    def put(self, run: BatchRun, results: BatchResults, dies: Death | None) -> None:
        """Put the answers into their place, unless the process dies before."""
        new = self.output.with_name("new")
        with new.open("w") as file:
            json.dump(texts(results.index), file)
            file.flush()
            if dies is Death.WRITTEN:
                raise DiedError
            run.begin_delivery(FileMark.of(self.output, file.fileno()))
        if dies is Death.NOTED:
            raise DiedError
        new.replace(self.output)
        self.deliver()
        if dies is Death.MOVED:
            raise DiedError

    def deliver(self) -> None:
        super().deliver()
        self.answers = {int(row): text for row, text in json.loads(self.output.read_text()).items()}

    def live(self, *, seconds: float | None = None, dies: Death | None = None) -> None:
        """Be a process for so long, or until that moment."""

        async def mortal(client: FireworksClient) -> None:
            async with asyncio.timeout(seconds):
                await self.attempt(client, dies)

        with contextlib.suppress(FireworksError, TimeoutError, DiedError):
            with_client(connection(self.service, consistency=PATIENT), mortal)

    def go(self) -> None:
        self.live()

    def go_and_die(self, seconds: float) -> None:
        self.live(seconds=seconds)

    @rule(moment=st.sampled_from(Death))
    def it_dies_at_its_delivery(self, moment: Death) -> None:
        self.live(dies=moment)

    @rule()
    def it_is_submitted(self) -> None:
        run = self.new_run()
        if not self.output.exists() or run.manifest_path.exists():
            with contextlib.suppress(FireworksError, AssertionError), run.lock():
                with_client(
                    connection(self.service, consistency=PATIENT),
                    lambda client: prepare(run, client),
                )


def test_under_any_sky() -> None:
    run_state_machine_as_test(
        RunUnderAnySky, settings=settings(max_examples=30, stateful_step_count=3)
    )


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_under_any_sky_for_long() -> None:
    run_state_machine_as_test(
        RunUnderAnySky, settings=settings(max_examples=1000, stateful_step_count=12)
    )
