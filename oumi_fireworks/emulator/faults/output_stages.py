"""The output of a job as the weather lets it appear: missing, without files, growing, whole."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path

from oumi_fireworks.emulator.faults.weather import Weather
from oumi_fireworks.emulator.state.private_files import private
from oumi_fireworks.emulator.state.records import Dataset, StoredFile

_SHORT = ".short-"
"""What the name of a file's first half begins with; no dataset has such a file."""


class Stage(Enum):
    """How much of a job's output shows."""

    MISSING = auto()
    WITHOUT_FILES = auto()
    PARTIAL = auto()
    GROWING = auto()
    WHOLE = auto()


def stage_of(dataset: Dataset, weather: Weather, seconds: float) -> Stage:
    """Return how much of a dataset shows.

    Args:
        dataset: Only one that a job wrote goes through stages.
        weather: How long each takes.
        seconds: When it is looked at, on the emulator's clock.
    """
    if dataset.user_uploaded or dataset.complete is None:
        return Stage.WHOLE
    left = seconds - dataset.complete.seconds
    for stage, lasts in (
        (Stage.MISSING, weather.output_missing),
        (Stage.WITHOUT_FILES, weather.files_missing),
        (Stage.PARTIAL, weather.files_partial),
        (Stage.GROWING, weather.files_growing),
    ):
        if left < lasts:
            return stage
        left -= lasts
    return Stage.WHOLE


def listed_files(
    dataset: Dataset, stage: Stage, weather: Weather, rng: random.Random
) -> Sequence[StoredFile]:
    """Return the files of a dataset that its download endpoint lists, in their order there."""
    match stage:
        case Stage.MISSING | Stage.WITHOUT_FILES:
            return ()
        case Stage.PARTIAL:
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
