"""The columns that a row gets beside its own: the answer, and what became of the row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from oumi_fireworks.completions import answer_choice
from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.money import AnswerPrices, Usage
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.user_json import dumps

COLUMNS = (
    "answer",
    "finish_reason",
    "reasoning",
    "tool_calls",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost",
    "outcome",
    "error",
)
"""The new columns, in their order: texts but for the tokens (whole numbers), the cost (dollars) and
the calls of tools."""

_NO_ANSWER = (None,) * COLUMNS.index("outcome")


@dataclass(frozen=True)
class AnswerColumns:
    """How the new columns are called, and what is in them.

    Attributes:
        prefix: What is put before each name.
        prices: What answers cost; None leaves the cost null.
    """

    prefix: str = ""
    prices: AnswerPrices | None = None

    def names(
        self, taken: Collection[str], expanded: Collection[str] = ()
    ) -> tuple[list[str], list[str]]:
        """Return the names of the new columns, and of those that an answer is expanded to.

        Args:
            taken: The names of the input's columns.
            expanded: The fields of an answer that become columns.

        Raises:
            ConfigurationError: If a name is taken already. The input's columns keep theirs, and
                the new ones get no number: who reads ``answer`` must get the one that is meant.
        """
        own = [self.prefix + name for name in COLUMNS]
        fields = [self.prefix + name for name in expanded]
        for name in [*own, *fields]:
            if name in taken:
                raise ConfigurationError(
                    f"The input has a column {name!r} already, and the output would have two. Put "
                    f"something before the new names: --prefix model_ makes it "
                    f"{'model_' + name!r}. Nothing was sent."
                )
        for name in fields:
            if name in own:
                raise ConfigurationError(
                    f"The schema of the answers has a field {name.removeprefix(self.prefix)!r}, "
                    "and the output has a column of that name for every answer. Give the field "
                    "another name, or leave --expand out. Nothing was sent."
                )
        return own, fields

    def values(self, finished: FinishedRow) -> tuple[Any, ...]:
        """Return the values of :data:`COLUMNS` for a row."""
        error = finished.error
        said = None if error is None else str(error["message"])
        # A rejected answer was paid for, and stands beside the reason.
        completion = finished.completion or finished.rejected
        choice = None if completion is None else answer_choice(completion)
        if completion is None or choice is None:
            return (*_NO_ANSWER, finished.outcome, said)
        message = choice["message"]
        return (
            _text(message.get("content")),
            _text(choice.get("finish_reason")),
            _text(message.get("reasoning") or message.get("reasoning_content")),
            _calls(message.get("tool_calls")),
            *self._usage(completion),
            finished.outcome,
            said,
        )

    def _usage(
        self, completion: Mapping[str, Any]
    ) -> tuple[int | None, int | None, int | None, float | None]:
        usage = Usage.parse(completion.get("usage"))
        if usage is None:
            return None, None, None, None
        cost = None if self.prices is None else self.prices.cost_of(completion)
        dollars = None if cost is None else float(cost)
        return usage.prompt, usage.completion, usage.cached, dollars


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return dumps(value).decode()


def _calls(value: object) -> list[dict[str, Any]] | None:
    if not isinstance(value, list) or not value:
        return None
    return [_call(each) for each in value if isinstance(each, Mapping)]


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    named = function if isinstance(function, Mapping) else {}
    return {
        "id": _text(call.get("id")),
        "type": _text(call.get("type")),
        "function": {
            "name": _text(named.get("name")),
            "arguments": _text(named.get("arguments")),
        },
    }
