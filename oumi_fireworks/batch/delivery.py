"""How far the delivery of a run's rows has come, by what its manifest says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oumi_fireworks.batch.file_mark import FileMark
from oumi_fireworks.batch.manifest import Manifest, Stage


def delivering(manifest: Manifest, file: FileMark | None, *, is_whole: bool = True) -> Manifest:
    """Return a run whose rows are about to be put where they belong, in this file if in one.

    Where they are not all that was paid for, it only remembers the file as its own.
    """
    if is_whole and manifest.has_ended:
        manifest = manifest.with_stage(Stage.DELIVERING)
    return replace(manifest, delivery=file)


def is_delivered(manifest: Manifest) -> bool:
    """Tell whether the rows of a run are known to be where they belong."""
    return (
        manifest.last.stage is Stage.DELIVERING
        and manifest.delivery is not None
        and manifest.delivery.is_in_place()
    )


def is_delivered_to(manifest: Manifest, place: Path | None) -> bool:
    """Tell whether the rows of a run are in this very file, where its caller looks for them."""
    return (
        is_delivered(manifest)
        and manifest.delivery is not None
        and place is not None
        and manifest.delivery.path == str(place.absolute())
    )
