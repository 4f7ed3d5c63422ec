"""A file that was written, recognised later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FileMark:
    """What a file is recognised by: it keeps these when it is moved, and when lines are added.

    Attributes:
        path: Where it is to be.
        device: The file system's number.
        inode: The file's number there.
        size: Bytes at least.
    """

    path: str
    device: int
    inode: int
    size: int

    @classmethod
    def of(cls, path: Path, descriptor: int) -> FileMark:
        """Mark an open file, whose content is complete, for the place that it is to be moved to."""
        found = os.fstat(descriptor)
        return cls(str(path.absolute()), found.st_dev, found.st_ino, found.st_size)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> FileMark:
        """Read what ``dataclasses.asdict`` has written."""
        return cls(str(raw["path"]), int(raw["device"]), int(raw["inode"]), int(raw["size"]))

    def is_in_place(self) -> bool:
        """Whether the file is where it was to be moved."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return False
        is_same = (found.st_dev, found.st_ino) == (self.device, self.inode)
        return is_same and found.st_size >= self.size
