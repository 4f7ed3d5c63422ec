"""The rows that a batch has not finished by its deadline, one by one online, in the same run.

Each outcome is a line of a result file in the run's folder, on the disk before the next is taken.
So a process that is killed loses no more than the requests that were under way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from oumi_fireworks.batch.outcomes import Answer
from oumi_fireworks.batch.requests import Request, RowId
from oumi_fireworks.batch.result_file import ResultFile
from oumi_fireworks.batch.results import readable_lines
from oumi_fireworks.completions import RAN_ONLINE
from oumi_fireworks.errors import FireworksError, OverBudgetError
from oumi_fireworks.files import cut_unfinished_line
from oumi_fireworks.money import Usage

OnRow = Callable[[int, Mapping[str, Any] | FireworksError], None]
"""Takes the completion of a row, or the error that it was given up for."""


@dataclass(frozen=True)
class Allowance:
    """What the rows that run online may cost.

    Attributes:
        dollars: All of them together, those of earlier processes included.
        journal: Where it is written down what was spent.
    """

    dollars: Decimal
    journal: Path


SendOnline = Callable[
    [Iterable[tuple[int, Mapping[str, Any]]], OnRow, Allowance | None], Awaitable[None]
]
"""Sends rows online, each with its number and its whole request. Raises what ends all of them."""


class LateRows:
    """The result file of the rows that run online.

    Args:
        path: The file.
        rows: Rows of the run.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self._path = path
        self._rows = rows

    def mend(self) -> None:
        """Cut off a line that a kill has left unfinished."""
        cut_unfinished_line(self._path)

    def answered(self) -> bytearray:
        """Return for each row whether it has an answer here, though maybe one that was rejected."""
        found = bytearray(self._rows)
        for answer in self._answers():
            found[answer.index] = True
        return found

    def usage(self) -> Usage:
        """Return the tokens of the answers here."""
        total = Usage()
        for answer in self._answers():
            total += Usage.parse(answer.completion.get("usage")) or Usage()
        return total

    async def run(
        self,
        requests: Iterable[Request],
        digests: Sequence[int] | None,
        model: str,
        send: SendOnline,
        allowance: Allowance | None,
    ) -> list[int]:
        """Send what has no answer here yet.

        Args:
            requests: Rows that are open.
            digests: The digest of each row's prompt, where its id has it.
            model: Their model.
            send: Sends them.
            allowance: What they may cost; None sets no bound.

        Returns:
            The rows that were not sent, since the allowance did not suffice.

        Raises:
            SpoolError: If the disk does not take an answer.
            FireworksError: What ended it; what has come in is kept.
        """
        done = self.answered()
        held: list[int] = []

        def bodies() -> Iterator[tuple[int, Mapping[str, Any]]]:
            for request in requests:
                if not done[request.index]:
                    yield request.index, {"model": model, **request.body}

        with ResultFile(self._path) as file:

            def note(index: int, outcome: Mapping[str, Any] | FireworksError) -> None:
                if isinstance(outcome, OverBudgetError):
                    held.append(index)
                    return
                name = RowId(index, None if digests is None else digests[index])
                if not isinstance(outcome, FireworksError):
                    outcome = {**outcome, RAN_ONLINE: True}
                file.note(name, outcome, synced=True)

            await send(bodies(), note, allowance)
        return held

    def _answers(self) -> Iterator[Answer]:
        if self._path.exists():
            for _, outcome in readable_lines(self._path, self._rows):
                if isinstance(outcome, Answer):
                    yield outcome
