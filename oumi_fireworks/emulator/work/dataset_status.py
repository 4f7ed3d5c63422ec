"""Where datasets stand."""

from __future__ import annotations

from oumi_fireworks.emulator.state.clock import Moment
from oumi_fireworks.emulator.state.records import DatasetRecord
from oumi_fireworks.emulator.work.emulator_state import EmulatorState


def is_ready(emulator: EmulatorState, dataset: DatasetRecord, moment: Moment | None = None) -> bool:
    """Return whether a dataset's upload had ended and been digested at a moment; None for now."""
    complete, moment = dataset.complete, moment or emulator.clock.moment()
    if complete is None or emulator.clock.elapsed(complete, moment) < dataset.settling:
        return False
    lasts = emulator.weather.ready if dataset.user_uploaded else 0.0
    return moment.seconds >= complete.seconds + lasts
