"""Rows of an online run that are not sent: repeats of another row, and those the cache knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oumi.core.types.conversation import Conversation
from xxhash import xxh3_64_intdigest

from oumi_fireworks.api.request_json import encode_request
from oumi_fireworks.batch import Dedupe
from oumi_fireworks.batch.repeats import FirstRows, RowKeys
from oumi_fireworks.cache import AnswerCache, key_of_body
from oumi_fireworks.completions import ANSWERED_BY, FROM_REPEAT
from oumi_fireworks.online import Completion


class RowsBeside:
    """Decides row by row whether it is sent. Belongs to the loop of the run.

    Attributes:
        repeats: Rows so far that ask what an earlier row asks.
        from_cache: Rows so far that the cache knew.

    Args:
        model: The rows' model.
        dedupe: Which repeats are not sent.
        cache: The cache; None without one.
    """

    def __init__(self, model: str, dedupe: Dedupe, cache: AnswerCache | None) -> None:
        self._model = model
        self._dedupe = dedupe
        self._cache = cache
        self._first_rows = FirstRows()
        self._row_keys = RowKeys()
        self._keys: dict[int, bytes] = {}
        self._waiting: dict[int, list[int]] = {}
        self.repeats = self.from_cache = 0

    @property
    def count(self) -> int:
        """Rows so far that were not sent."""
        return self.repeats + self.from_cache

    def known(
        self, index: int, body: Mapping[str, Any], read: Callable[[Completion], Conversation | None]
    ) -> Conversation | None:
        """Return a row with the answer that the cache has for it; None where it is to be asked for.

        Args:
            index: The row.
            body: Its request.
            read: Makes the answered row; None where the answer does not hold.
        """
        if self._cache is None:
            return None
        key = key_of_body(self._model, body)
        completion = self._cache.find(key)
        if completion is not None and (answered := read(completion)) is not None:
            self.from_cache += 1
            return answered
        self._keys[index] = key
        return None

    def first_of(self, index: int, body: Mapping[str, Any]) -> int | None:
        """Return the earlier row that asks the same, and is to answer this one; None if none is."""
        if not self._dedupe.covers(body):
            return None
        key = self._key(index, body)
        first = self._first_rows.first(key, index)
        if first is not None:
            self.repeats += 1
            self._keys.pop(index, None)
        return first

    def _key(self, index: int, body: Mapping[str, Any]) -> bytes:
        """Return what a row shares with those that ask the same."""
        if self._cache is not None:
            return self._keys.get(index) or key_of_body(self._model, body)
        # No other run reads these keys, so that they can be made in half the time.
        encoded = encode_request(body)
        return self._row_keys.key(encoded, xxh3_64_intdigest(encoded))

    def wait(self, index: int, first: int) -> None:
        """Note a row that gets its outcome when an earlier one has it."""
        self._waiting.setdefault(first, []).append(index)

    def waiting_for(self, index: int) -> list[int]:
        """Return the rows that have waited for this one."""
        return self._waiting.pop(index, [])

    def answered(self, index: int, completion: Completion) -> None:
        """Keep the answer to a row that was sent."""
        key = self._keys.pop(index, None)
        if self._cache is not None and key is not None:
            self._cache.keep(self._model, [(key, completion)])


def repeated(outcome: Conversation, first: Conversation, asked: Conversation) -> Conversation:
    """Return an answered row for another one that asks the same.

    Args:
        outcome: The answered row.
        first: The same before it was answered.
        asked: The other one.
    """
    of_answer = {
        name: value
        for name, value in outcome.metadata.items()
        if name not in first.metadata or first.metadata[name] != value
    }
    return Conversation(
        messages=[*asked.messages, outcome.messages[-1]],
        metadata={**asked.metadata, **of_answer, ANSWERED_BY: FROM_REPEAT},
        conversation_id=asked.conversation_id,
        tools=asked.tools,
    )
