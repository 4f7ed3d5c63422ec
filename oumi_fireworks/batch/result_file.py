"""A result file of our own: outcomes that come one by one, in the form of the service's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oumi_fireworks.batch.outcomes import result_line
from oumi_fireworks.batch.requests import RowId
from oumi_fireworks.errors import FireworksError, SpoolError
from oumi_fireworks.files import AppendedFile
from oumi_fireworks.grammar import ended


class ResultFile(AppendedFile):
    """Takes the outcomes of rows that run online."""

    def note(
        self, name: RowId, outcome: Mapping[str, Any] | FireworksError, *, synced: bool = False
    ) -> None:
        """Append the outcome of a row.

        Args:
            name: The row.
            outcome: Its completion, or the error that it was given up for.
            synced: Whether it outlasts a crash of the machine, too.

        Raises:
            SpoolError: If the disk does not take it.
        """
        try:
            self.append(result_line(name, outcome))
            if synced:
                self.sync()
        except OSError as error:
            raise SpoolError(
                f"Cannot write {self.path}: {ended(error.strerror or error)} What was written "
                "before is safe; make room and run it again."
            ) from error
