"""Exactly once while the service's reads lag, err and repeat themselves, and processes die.

A run is begun again and again under weather that changes, with wrong answers to any call and
crashes at any moment, until the sky is clear. Then every row is delivered, and no more was paid
for than the retries allow. ``make soak`` runs a thousand examples of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from oumi_fireworks.api import Consistency, FireworksClient
from oumi_fireworks.batch import BatchRun
from oumi_fireworks.emulator import Emulator, Fault, Weather
from oumi_fireworks.errors import FireworksError
from tests.api.support import connection, with_client
from tests.batch.faulty import CALLS
from tests.batch.sky import READS, ROWS, WEATHERS, WRONG_READS
from tests.batch.support import a_run, prepare, quick_emulator, source, texts
from tests.batch.test_faults import ONE_FAULT

PATIENT = Consistency(gone_after=1.0, results_timeout=5.0)


class UnderAnySky(RuleBasedStateMachine):
    """A run of three rows, of which some fail once or always."""

    emulator: Emulator | None = None

    @initialize(
        marks=st.dictionaries(
            st.integers(0, ROWS - 1), st.sampled_from(["[[flaky]]", "[[fail]]", "[[drop]]"])
        ),
        retries=st.integers(0, 2),
        tidy=st.booleans(),
    )
    def begin(self, marks: dict[int, str], retries: int, tidy: bool) -> None:
        self.emulator = quick_emulator()
        self.emulator.start()
        self.folder = Path(mkdtemp())
        self.marks, self.retries, self.tidy = marks, retries, tidy
        self.delivered: dict[int, str] | None = None

    def new_run(self) -> BatchRun:
        return a_run(
            self.folder / "run",
            source(ROWS, self.marks),
            row_retries=self.retries,
            delete_datasets=self.tidy,
        )

    def is_kept(self) -> bool:
        """Whether there is a run to go on with."""
        return self.new_run().manifest_path.exists()

    async def go(self, client: FireworksClient) -> None:
        """Go the whole way, as a command does."""
        run = self.new_run()
        with run.lock():
            if self.delivered is not None and not run.manifest_path.exists():
                return
            results = await run.advance(client)
            if results.is_over:
                run.begin_delivery()
                self.delivered = texts(results.index)
                await run.finish(client)

    def attempt(self, seconds: float | None) -> None:
        """Go, for so long: then it is as if the process had died."""
        assert self.emulator is not None

        async def mortal(client: FireworksClient) -> None:
            async with asyncio.timeout(seconds):
                await self.go(client)

        with contextlib.suppress(FireworksError, TimeoutError):
            with_client(connection(self.emulator, consistency=PATIENT), mortal)

    @rule(weather=WEATHERS)
    def the_weather_changes(self, weather: Weather) -> None:
        assert self.emulator is not None
        self.emulator.weather = weather

    @rule(call=st.sampled_from(READS), how=st.sampled_from(WRONG_READS), after=st.integers(0, 3))
    def a_read_errs(self, call: str, how: dict[str, Any], after: int) -> None:
        assert self.emulator is not None
        method, path = CALLS[call]
        self.emulator.faults.add(Fault(method, path, **how, after=after))

    @rule(broken=ONE_FAULT)
    def a_call_breaks(self, broken: Fault) -> None:
        assert self.emulator is not None
        self.emulator.faults.add(broken)

    @rule(status=st.sampled_from([400, 409]), after=st.integers(0, 2))
    def a_creation_is_refused(self, status: int, after: int) -> None:
        assert self.emulator is not None
        self.emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=status, after=after))

    @rule(seconds=st.sampled_from([0.01, 0.03, 0.06, 0.1, 0.2]))
    def it_is_run_and_dies(self, seconds: float) -> None:
        self.attempt(seconds)

    @rule()
    def it_is_submitted(self) -> None:
        assert self.emulator is not None
        run = self.new_run()
        if self.delivered is None or run.manifest_path.exists():
            with contextlib.suppress(FireworksError, AssertionError):
                with_client(
                    connection(self.emulator, consistency=PATIENT),
                    lambda client: prepare(run, client),
                )

    @rule()
    def it_is_run(self) -> None:
        self.attempt(None)

    @invariant()
    def no_more_is_paid_than_the_retries_allow(self) -> None:
        if self.emulator is None:
            return
        jobs = [job.id for job in self.emulator.jobs]
        assert len(jobs) == len(set(jobs))
        assert self.emulator.ledger.rows <= self.allowed()

    def allowed(self) -> int:
        """How many rows may run."""
        return ROWS + self.retries * len(self.marks)  # what a refused job was to run, it did not

    def was_refused(self) -> bool:
        """Whether a job of the batch was refused beside others: its rows run in a later one."""
        assert self.emulator is not None
        return any(
            request.status == 400
            for request in self.emulator.requests_to("POST", "/batchInferenceJobs$")
        )

    @invariant()
    def no_job_is_without_an_owner(self) -> None:
        if self.emulator is not None and self.emulator.jobs and self.delivered is None:
            assert self.is_kept()

    @invariant()
    def nothing_that_was_paid_for_is_removed(self) -> None:
        if self.emulator is None:
            return
        assert not [job.id for job in self.emulator.jobs if job.state == "JOB_STATE_DELETED"]
        if self.delivered is None:
            outputs = [each for each in self.emulator.datasets if each.id.endswith("-out")]
            assert not [each.id for each in outputs if each.deleted]

    def teardown(self) -> None:
        if self.emulator is None:
            return
        try:
            self.emulator.faults.clear()
            self.emulator.weather = Weather()
            for _ in range(2):
                self.attempt(None)
            assert self.delivered is not None
            certain = {row for row in range(ROWS) if row not in self.marks}
            if self.retries and not self.was_refused():
                certain |= {row for row, mark in self.marks.items() if mark == "[[flaky]]"}
            if not self.was_refused():
                assert certain <= set(self.delivered)
            assert not [
                row for row, text in self.delivered.items() if not text.startswith(f"row {row} ")
            ]
            self.no_more_is_paid_than_the_retries_allow()
            assert not self.is_kept()
        finally:
            self.emulator.stop()
            shutil.rmtree(self.folder)


def test_under_any_sky() -> None:
    run_state_machine_as_test(
        UnderAnySky, settings=settings(max_examples=100, stateful_step_count=3)
    )


@pytest.mark.soak
def test_under_any_sky_for_long() -> None:
    run_state_machine_as_test(
        UnderAnySky, settings=settings(max_examples=1000, stateful_step_count=12)
    )
