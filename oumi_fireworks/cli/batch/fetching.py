"""What ``batch results`` needs in either of its forms."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oumi_fireworks.batch import Snapshot
from oumi_fireworks.batch.folder import OwnFolder
from oumi_fireworks.cli.batch.paths import STDOUT
from oumi_fireworks.errors import NotFinishedError
from oumi_fireworks.tables.remote import local_name, scheme_of

_CONTENTS = ("[0-9]*", "input", "stdin*", "pipe-*")
"""What is put beside an output: results by attempt, what was asked, copies of piped input."""


def require_ended(batch: Snapshot) -> None:
    """Refuse to fetch from a batch that is at work.

    Raises:
        NotFinishedError: If it is.
    """
    if not batch.is_terminal:
        raise NotFinishedError(
            f"Batch {batch.batch_id} has not ended yet ({batch.state}). Wait for it with "
            f"`oumi-fireworks batch status {batch.batch_id} --watch`."
        )


@contextmanager
def fetch_folder(output: str | None) -> Iterator[Path]:
    """Give a place for what is downloaded: beside the output, where it outlives a failure.

    It is a temporary one where the output is no file on this machine.

    So the same command goes on with what has arrived.
    """
    if output is None or output == STDOUT or scheme_of(local_name(output)) is not None:
        with tempfile.TemporaryDirectory(prefix="oumi-fireworks-") as temporary:
            yield Path(temporary)
        return
    folder = OwnFolder(Path(f"{local_name(output)}.fetch"), _CONTENTS)
    folder.claim()
    try:
        yield folder.path
    except BaseException:
        folder.remove_if_empty()  # when nothing has arrived
        raise
    folder.remove()
