"""How far the delivery of a run's rows has come, by what its manifest says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oumi_fireworks.batch.file_mark import FileMark
from oumi_fireworks.batch.manifest import Manifest, Stage


def delivering(manifest: Manifest, file: FileMark | None, *, is_whole: bool = True) -> Manifest:
    """Return a run whose rows are about to be put where they belong, in this file if in one.

    Where they are not all that was paid for, it only remembers the file as its own. So it does
    with the file of an earlier delivery, until this one has taken its place.
    """
    if is_whole and manifest.has_ended:
        manifest = manifest.with_stage(Stage.DELIVERING)
    before = manifest.delivery
    replaced = before if before is not None and before.is_in_place() else manifest.replaced
    return replace(manifest, delivery=file, replaced=replaced)


def has_own_file(manifest: Manifest) -> bool:
    """Tell whether a file of this delivery, or of one before, is in its place."""
    marks = (manifest.delivery, manifest.replaced)
    return any(mark is not None and mark.is_in_place() for mark in marks)


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
