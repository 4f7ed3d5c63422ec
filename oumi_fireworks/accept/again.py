"""How a rejected row is asked for again: a pure function of its request and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oumi_fireworks.accept.rules import MOST_TOKENS_BY_FACTOR, OnReject
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.completions import answer_choice
from oumi_fireworks.errors import OptionError
from oumi_fireworks.grammar import number
from oumi_fireworks.request_fields import DEFAULT_MAX_TOKENS

_HIGHEST_TEMPERATURE = 2.0

_NO_TEXT = "(no text)"
"""Stands for an answer without text, since a message of the model's has to have one."""


@dataclass(frozen=True)
class _Change:
    """What is different in a further attempt."""

    tokens: int
    temperature: float
    is_repair: bool


class Again:
    """The further attempts at rejected rows, worked out once for all rows of a run.

    Args:
        policy: The option.
        fields: The fields that all requests share.

    Raises:
        OptionError: If even the first further attempt would be the same request.
    """

    def __init__(self, policy: OnReject, fields: Mapping[str, Any]) -> None:
        self._policy = policy
        self._limit_name = (
            "max_completion_tokens"
            if fields.get("max_completion_tokens") is not None
            else "max_tokens"
        )
        self._tokens = int(fields.get(self._limit_name) or DEFAULT_MAX_TOKENS)
        self._temperature = float(fields.get("temperature", 1.0))
        self.most = self._most()
        """How often a row is run again at the most: no attempt is the same as one before."""
        if not self.most:
            raise OptionError(
                f"on_reject would change nothing: {self._why_nothing()}. The same request would be "
                "paid for again."
            )

    @property
    def warnings(self) -> list[str]:
        """What the user should know of the option, each a sentence."""
        if self.most == self._policy.attempts:
            return []
        return [
            f"on_reject.attempts is {self._policy.attempts}, and from attempt {self.most + 1} on "
            f"nothing would be different: a rejected row is run again {number(self.most, 'time')} "
            "at the most."
        ]

    def request(
        self, body: Mapping[str, Any], answer: Mapping[str, Any], rejection: Rejection, times: int
    ) -> dict[str, Any] | None:
        """Return the request with which a rejected row is run again.

        Args:
            body: Its request, as it was at first.
            answer: The completion that is kept of it.
            rejection: Why that does not hold.
            times: How many of its answers were rejected, 1 or more.

        Returns:
            A request that differs from all before; None where the row is not run again.
        """
        if times > self.most:
            return None
        change, again = self._change(times), dict(body)
        if change.tokens != self._tokens:
            again[self._limit_name] = change.tokens
        if change.temperature != self._temperature:
            again["temperature"] = change.temperature
        if change.is_repair:
            again["messages"] = [*body["messages"], *_correction(answer, rejection)]
        return again

    def _most(self) -> int:
        seen = {_Change(self._tokens, self._temperature, is_repair=False)}
        for times in range(1, self._policy.attempts + 1):
            change = self._change(times)
            if change in seen:
                return times - 1
            seen.add(change)
        return self._policy.attempts

    def _change(self, times: int) -> _Change:
        growth = self._policy.max_new_tokens
        tokens = self._tokens if growth.to is None else growth.to
        if growth.to is None:
            most = max(self._tokens, MOST_TOKENS_BY_FACTOR)
            for _ in range(times):
                tokens = min(int(tokens * growth.factor), most)
        raised = self._temperature + self._policy.temperature * times
        temperature = round(min(raised, _HIGHEST_TEMPERATURE), 6)
        return _Change(tokens, temperature, times <= self._policy.repair)

    def _why_nothing(self) -> str:
        growth, reasons = self._policy.max_new_tokens, []
        if growth.to == self._tokens:
            reasons.append(f"max_new_tokens is {self._tokens} already")
        elif growth.factor > 1:
            reasons.append(
                f"a factor raises max_new_tokens up to {MOST_TOKENS_BY_FACTOR}, and it is "
                f"{self._tokens} already (write a number to go beyond)"
            )
        if self._policy.temperature:
            reasons.append(f"the temperature is {self._temperature:g} already")
        return " and ".join(reasons)


def _correction(answer: Mapping[str, Any], rejection: Rejection) -> list[dict[str, Any]]:
    """Return the messages that show the model its answer and what is wrong with it."""
    choice = answer_choice(answer) or {}
    message = choice.get("message", {})
    wrong = f"{rejection.message} Answer again, with the corrected answer and nothing else."
    content = message.get("content")
    if calls := _calls(message.get("tool_calls")):
        shown = {"role": "assistant", "content": content or "", "tool_calls": calls}
        # Each call has to be answered before anything else is said.
        return [
            shown,
            *({"role": "tool", "tool_call_id": call["id"], "content": wrong} for call in calls),
        ]
    shown = {"role": "assistant", "content": content or _NO_TEXT}
    return [shown, {"role": "user", "content": wrong}]


def _calls(calls: object) -> list[dict[str, Any]]:
    """Return tool calls as a request takes them; none if one of them is not whole."""
    found = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(call.get("id"), str):
            return []
        name, arguments = function.get("name"), function.get("arguments")
        if not isinstance(name, str) or not isinstance(arguments, str):
            return []
        found.append(
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
        )
    return found
