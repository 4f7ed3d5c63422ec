"""``--events FILE``: one line of JSON for each event, on the disk before the run goes on."""

from __future__ import annotations

from pathlib import Path

import orjson

from oumi_fireworks.errors import WriteError
from oumi_fireworks.events.event import Event
from oumi_fireworks.files import AppendedFile
from oumi_fireworks.grammar import ended


class Journal:
    """Appends events to a file.

    Each line has reached the disk when :meth:`hear` returns. A line that a crash of the machine
    cut off is removed when the next run opens the file.

    Args:
        path: The file; what is in it stays.

    Raises:
        WriteError: If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = AppendedFile(path, private=False)
        try:
            self._file.open()
        except OSError as error:
            raise WriteError(
                f"Cannot write the events to {path}: {ended(error.strerror or error)} Nothing was "
                "sent. Name another file."
            ) from error

    def hear(self, event: Event) -> None:
        """Append an event.

        Raises:
            OSError: If the disk does not take it.
        """
        self._file.append(orjson.dumps(event) + b"\n")
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
