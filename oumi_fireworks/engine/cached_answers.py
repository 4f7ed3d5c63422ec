"""The answer cache beside rows that run online: what it knows, and what it is to keep."""

from __future__ import annotations

from oumi_fireworks.batch import Answer, OnOutcome, Request
from oumi_fireworks.cache import AnswerCache, key_of_body
from oumi_fireworks.errors import FireworksError
from oumi_fireworks.online import Completion


class CachedAnswers:
    """Finds the answers to rows, and keeps those that come.

    Only what is taken goes in or comes out: no answer that is rejected.

    Attributes:
        found: How many rows the cache knew.

    Args:
        model: The rows' model.
        cache: The cache; None without one.
        check: Says of an answer whether it is taken.
    """

    def __init__(self, model: str, cache: AnswerCache | None, check: OnOutcome) -> None:
        self._model = model
        self._cache = cache
        self._check = check
        self._keys: dict[int, bytes] = {}
        self.found = 0

    def find(self, request: Request, key: bytes | None = None) -> Completion | None:
        """Return the answer to a row; None where it is to be asked for.

        Args:
            request: The row.
            key: The key of its request, where that was needed before.
        """
        if self._cache is None:
            return None
        key = key or key_of_body(self._model, request.body)
        completion = self._cache.find(key)
        if completion is not None and self._takes(request.index, completion):
            self.found += 1
            return completion
        self._keys[request.index] = key
        return None

    def keep(self, row: int, outcome: Completion | FireworksError) -> bool:
        """Keep the answer to a row that was looked for; tell whether it is taken."""
        key = self._keys.pop(row, None)
        if isinstance(outcome, FireworksError) or not self._takes(row, outcome):
            return False
        if self._cache is not None and key is not None:
            self._cache.keep(self._model, [(key, outcome)])
        return True

    def _takes(self, row: int, completion: Completion) -> bool:
        return self._check(Answer(row, completion)) is None
