"""Outputs of finished batches, so that the same command a second time does not pay again.

A mark in the user's cache says of which model, parameters and input a file holds the answers. It
holds as long as nobody changes or removes the file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson

from oumi_fireworks.errors import WriteError
from oumi_fireworks.files import cache_folder, write_whole
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)


def mark(output: Path, run: str) -> None:
    """Note that an output is finished.

    Args:
        output: The file.
        run: Names the run: its model, parameters and input. Oumi's scratch file has such a name.
    """
    content = orjson.dumps(_seal(output))
    try:
        write_whole(_mark_of(run), content, advice="Run again, the batch would be paid again.")
    except WriteError as error:
        logger.warning("%s", error)


def is_finished(output: Path, run: str) -> bool:
    """Tell whether an output is what this run has written, and still holds it."""
    try:
        return bool(orjson.loads(_mark_of(run).read_bytes()) == _seal(output))
    except (OSError, ValueError):
        return False


def _seal(output: Path) -> list[int]:
    """Return what changes with the file."""
    stat = output.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _mark_of(run: str) -> Path:
    absolute = str(Path(run).absolute())
    return cache_folder() / "finished" / hashlib.sha256(absolute.encode()).hexdigest()[:32]
