"""What ``batch run`` does with a run, under the same skies: see ``tests/batch/test_weather.py``."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import BatchResults
from oumi_fireworks.cli.batch.whole_run import go, held
from oumi_fireworks.errors import BatchError, NoRowsError
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.tables.delivery import Delivery
from tests.batch.test_weather import Death, RunUnderAnySky


class CommandUnderAnySky(RunUnderAnySky):
    """The same command, again and again."""

    async def attempt(self, client: FireworksClient, dies: Death | None = None) -> None:
        run = self.new_run()

        def require_output() -> None:
            if self.output.exists():
                raise NoRowsError("The output exists.")

        async def deliver(results: BatchResults) -> Delivery:
            if results.is_over:
                self.put(run, results, dies)
            return Delivery()

        with held(run, require_output):
            try:
                events = RunEvents((), mode="batch", model="toy")
                await go(client, run, deliver, events, None, require_output)
            except BatchError:
                if self.service.jobs and not run.manifest_path.exists():
                    # It has said that there is no answer, and is over.
                    self.output.write_text("{}")
                    self.deliver()
                raise


def test_a_command_under_any_sky() -> None:
    run_state_machine_as_test(
        CommandUnderAnySky, settings=settings(max_examples=10, stateful_step_count=3)
    )


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_command_under_any_sky_for_long() -> None:
    run_state_machine_as_test(
        CommandUnderAnySky, settings=settings(max_examples=1000, stateful_step_count=12)
    )
