"""What requests may cost: each sets its worst aside before it is sent, and settles afterwards.

With a journal a crash forgets nothing: what was set aside and never settled counts at its worst.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Self

import orjson

from oumi_fireworks.errors import WriteError
from oumi_fireworks.files import AppendedFile, whole_lines
from oumi_fireworks.money import Budget, Charge, Usage

__all__ = ["Purse"]


class Purse:
    """A budget that requests share.

    Use it on one loop at a time.

    Args:
        budget: What must not be exceeded.
        journal: Where what is set aside and settled is written down; None keeps it in memory.

    Raises:
        WriteError: If the journal is not one.
    """

    def __init__(self, budget: Budget, journal: Path | None) -> None:
        self.budget = budget
        self._journal = None if journal is None else AppendedFile(journal)
        entries = [] if journal is None else whole_lines(journal)
        self._spent = budget.cost(_charge(entries, journal))
        self._under_way: dict[int, Decimal] = {}
        self._set_aside = Decimal()
        self._begun = len(entries)  # a number that no request in the journal has
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._journal is not None:
            self._journal.close()

    @property
    def spent(self) -> Decimal:
        """Dollars spent, earlier runs of the same rows included; unknown usage at its worst."""
        return self._spent

    async def take(self, most: Usage) -> int | None:
        """Set aside the most that a request can cost, and return the number of it.

        Waits while what is under way may still leave enough. None if it does not fit.
        """
        cost = self.budget.at_most(most)
        while self._spent + self._set_aside + cost > self.budget.most:
            if not self._under_way:
                self._wake()
                return None
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        number, self._begun = self._begun, self._begun + 1
        self._under_way[number] = cost
        self._set_aside += cost
        self._note({"begun": number, "most": [most.prompt, most.completion]})
        self._wake()
        return number

    def settle(self, number: int, used: Usage) -> None:
        """Replace what was set aside by what a request took; nothing if it was not carried out."""
        self._set_aside -= self._under_way.pop(number)
        self._spent += self.budget.prices.cost(used)
        self._note({"ended": number, "used": [used.prompt, used.completion, used.cached]})
        self._wake()

    def write_off(self, number: int) -> None:
        """Let what was set aside stand for what was spent: nobody knows better."""
        cost = self._under_way.pop(number)
        self._set_aside -= cost
        self._spent += cost
        self._wake()

    def _note(self, entry: Mapping[str, object]) -> None:
        if self._journal is not None:
            self._journal.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    def _wake(self) -> None:
        """Let whoever has waited longest look again; that one wakes the next."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return


def _charge(entries: Sequence[bytes], journal: Path | None) -> Charge:
    """Return what the entries of a journal say was spent."""
    used, open_ones = Usage(), {}
    try:
        for line in entries:
            entry = orjson.loads(line)
            if "begun" in entry:
                open_ones[entry["begun"]] = Usage(*entry["most"])
            else:
                del open_ones[entry["ended"]]
                prompt, completion, cached = entry["used"]
                used += Usage(prompt, completion, cached)
    except (ValueError, KeyError, TypeError) as error:
        raise WriteError(
            f"{journal} is not what a run under max_cost writes ({error}): what was spent is not "
            "known. Remove it to begin anew; what was spent then counts no more."
        ) from error
    return Charge(used, sum(open_ones.values(), Usage()))
