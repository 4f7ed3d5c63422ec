"""What ``batch run`` does with a run, under the same skies: see ``tests/batch/test_weather.py``."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import BatchResults
from oumi_fireworks.cli.batch.whole_run import go, held
from oumi_fireworks.errors import BatchError, NoRowsError
from tests.batch.support import texts
from tests.batch.test_weather import UnderAnySky


class CommandUnderAnySky(UnderAnySky):
    """The same command, again and again."""

    async def go(self, client: FireworksClient) -> None:
        run = self.new_run()

        def require_output() -> None:
            if self.delivered is not None:
                raise NoRowsError("The output exists.")

        async def deliver(results: BatchResults) -> None:
            run.begin_delivery(is_whole=results.is_over)
            if results.is_over:
                self.delivered = texts(results.index)

        with held(run, require_output):
            try:
                await go(client, run, deliver, require_output)
            except BatchError:
                if not self.is_kept() and self.emulator is not None and self.emulator.jobs:
                    self.delivered = self.delivered or {}  # it has said that there is no answer
                raise


def test_a_command_under_any_sky() -> None:
    run_state_machine_as_test(
        CommandUnderAnySky, settings=settings(max_examples=10, stateful_step_count=3)
    )


@pytest.mark.soak
def test_a_command_under_any_sky_for_long() -> None:
    run_state_machine_as_test(
        CommandUnderAnySky, settings=settings(max_examples=1000, stateful_step_count=12)
    )
