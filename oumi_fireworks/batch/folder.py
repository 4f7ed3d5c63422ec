"""A folder of ours on the user's disk: nobody else's is used, and only our files are removed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from oumi_fireworks.errors import ForeignFolderError, SpoolError
from oumi_fireworks.files import make_private_folder, open_private
from oumi_fireworks.grammar import ended

MARKER = ".oumi-fireworks"
_MADE = b"This folder was made by oumi-fireworks, which also removes what it put here.\n"
_FOUND = b"This folder was empty. oumi-fireworks removes what it put here, and leaves the folder.\n"

_OLD_MARKER = "run.json"
"""The file whose presence marked a folder as ours before there was a marker."""


class OwnFolder:
    """A folder that this package makes, fills and removes.

    An empty folder that the user has made is filled as well, and stays when all else is removed.

    Args:
        path: Where it is.
        contents: Patterns of the names of what we put there, besides the marker.
    """

    def __init__(self, path: Path, contents: Iterable[str]) -> None:
        self.path = path
        self._contents = tuple(contents)

    def claim(self) -> None:
        """Make the folder, unless it is there and empty or ours.

        Raises:
            ForeignFolderError: If it is somebody else's. Nothing in it was touched.
            SpoolError: If it cannot be made.
        """
        try:
            if make_private_folder(self.path):
                self._mark(_MADE)
            if not self._is_ours():
                raise ForeignFolderError(
                    f"{self.path} exists and was not made by oumi-fireworks. Nothing in it was "
                    "touched, and nothing was submitted. Move it away, or choose another place "
                    "for the run: another output, or the run_dir option."
                )
            if not (self.path / MARKER).exists():
                self._mark(_MADE if self._has_old_marker() else _FOUND)
        except OSError as error:
            raise SpoolError(
                f"Cannot use {self.path}: {ended(error.strerror or error)} Choose another place "
                "with the run_dir option."
            ) from error

    def clear(self, keep: Iterable[str] = ()) -> None:
        """Remove what we put there."""
        spared = set(keep)
        for entry in list(self._entries()):
            if entry.name not in spared and self._is_content(entry):
                _remove(entry)

    def remove_if_empty(self) -> None:
        """Remove the folder when nothing has been put there."""
        if {entry.name for entry in self._entries()} <= {MARKER}:
            self.remove()

    def remove(self) -> None:
        """Remove what we put there, and the folder if we made it and nothing else is in it."""
        self.clear()
        marker = self.path / MARKER
        with suppress(OSError):
            was_found = marker.read_bytes() == _FOUND
            marker.unlink()
            if not was_found:
                self.path.rmdir()

    def _mark(self, text: bytes) -> None:
        with open_private(self.path / MARKER) as marker:
            marker.write(text)

    def _entries(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from self.path.iterdir()

    def _is_content(self, entry: Path) -> bool:
        return any(fnmatch(entry.name, pattern) for pattern in self._contents)

    def _is_ours(self) -> bool:
        entries = {entry.name for entry in self._entries()}
        if MARKER in entries or self._has_old_marker():
            return True
        return entries <= {"lock"} and not (self.path / "lock").is_symlink()

    def _has_old_marker(self) -> bool:
        if _OLD_MARKER not in self._contents:
            return False
        try:
            found = json.loads((self.path / _OLD_MARKER).read_bytes())
        except (OSError, ValueError):
            return False
        return isinstance(found, dict) and {"format", "attempts"} <= found.keys()


def _remove(entry: Path) -> None:
    with suppress(OSError):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
