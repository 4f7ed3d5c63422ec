"""Files and folders that hold prompts and answers: for the user alone."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def private(path: str, flags: int) -> int:
    """Open a file that only its owner may read: an opener for `open`."""
    return os.open(path, flags, FILE_MODE)


def make_folder(path: Path) -> None:
    """Create a folder that only its owner may enter, and those above it that are missing."""
    if not path.parent.exists():
        make_folder(path.parent)
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)
