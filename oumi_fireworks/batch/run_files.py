"""What a run keeps in its folder: the manifest, the requests, the results."""

from __future__ import annotations

import shutil
from pathlib import Path

from oumi_fireworks.batch.folder import OwnFolder
from oumi_fireworks.batch.manifest import Manifest

MANIFEST_NAME = "run.json"
LOCK_NAME = "lock"
WAITING_PREFIX = "waiting-"

CONTENTS = (
    MANIFEST_NAME, f"{MANIFEST_NAME}.*", f".{MANIFEST_NAME}*", LOCK_NAME, "spool", "results",
    "stdin", "stdin.*", "pipe-*", f"{WAITING_PREFIX}*",
)  # fmt: skip
"""What a run's folder holds. ``stdin`` and ``pipe-*`` are copies of what was piped in."""


class RunFiles:
    """The files of one run.

    Args:
        folder: The run's own folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = OwnFolder(folder, CONTENTS)
        self.manifest_path = folder / MANIFEST_NAME
        self.results = folder / "results"
        self.cached = self.results / "cached.jsonl"
        self.online = self.results / "online.jsonl"
        self.spending = self.results / "online.spending"

    def load(self) -> Manifest | None:
        """Read the manifest; None where there is none.

        Raises:
            ManifestError: If it cannot be read.
        """
        return Manifest.load(self.manifest_path)

    def save(self, manifest: Manifest) -> Manifest:
        """Replace the manifest, and return it.

        Raises:
            SpoolError: If the disk does not take it; the one before it stands.
        """
        manifest.save(self.manifest_path)
        return manifest

    def spool(self, number: int) -> Path:
        """Where the requests of an attempt are; its number counts from 0."""
        return self.folder / "spool" / str(number)

    def remove_spool(self) -> None:
        """Remove the requests."""
        shutil.rmtree(self.folder / "spool", ignore_errors=True)

    def remove_results(self) -> None:
        """Remove the results."""
        shutil.rmtree(self.results, ignore_errors=True)

    def forget(self) -> None:
        """Remove the manifest, then the rest; the lock stays, and so does the folder."""
        self.manifest_path.unlink(missing_ok=True)
        self.own.clear(keep=[LOCK_NAME])
