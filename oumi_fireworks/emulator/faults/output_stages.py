"""The output of a job as the weather lets it appear: missing, without files, growing, whole."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path

from oumi_fireworks.emulator.faults.weather import Weather
from oumi_fireworks.emulator.state.private_files import private
from oumi_fireworks.emulator.state.records import DatasetRecord, StoredFile

_SHORT = ".short-"
"""What the name of a file's first half begins with; no dataset has such a file."""


class OutputStage(Enum):
    """How much of a job's output shows."""

    MISSING = auto()
    WITHOUT_FILES = auto()
    PARTIAL = auto()
    GROWING = auto()
    WHOLE = auto()


def stage_of(dataset: DatasetRecord, weather: Weather, seconds: float) -> OutputStage:
    """Return how much of a dataset shows.

    Args:
        dataset: Only one that a job wrote goes through stages.
        weather: How long each takes.
        seconds: When it is looked at, on the emulator's clock.
    """
    if dataset.user_uploaded or dataset.complete is None:
        return OutputStage.WHOLE
    left = seconds - dataset.complete.seconds
    for stage, lasts in (
        (OutputStage.MISSING, weather.output_missing),
        (OutputStage.WITHOUT_FILES, weather.files_missing),
        (OutputStage.PARTIAL, weather.files_partial),
        (OutputStage.GROWING, weather.files_growing),
    ):
        if left < lasts:
            return stage
        left -= lasts
    return OutputStage.WHOLE


def listed_files(
    dataset: DatasetRecord, stage: OutputStage, weather: Weather, rng: random.Random
) -> Sequence[StoredFile]:
    """Return the files of a dataset that its download endpoint lists, in their order there."""
    match stage:
        case OutputStage.MISSING | OutputStage.WITHOUT_FILES:
            return ()
        case OutputStage.PARTIAL:
            files = list(dataset.files[len(dataset.files) // 2 :])
        case _:
            files = list(dataset.files)
    if weather.files_shuffled and not dataset.user_uploaded:
        rng.shuffle(files)
    return files


def first_half(path: Path) -> Path:
    """Return a file that holds the first half of another one's bytes, beside it."""
    short = path.with_name(_SHORT + path.name)
    if not short.exists():
        left = path.stat().st_size // 2
        with path.open("rb") as whole, open(short, "wb", opener=private) as half:
            while left and (chunk := whole.read(min(left, 1 << 20))):
                half.write(chunk)
                left -= len(chunk)
    return short
