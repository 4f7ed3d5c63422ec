"""Whether an answer holds: one pure function of the answer and the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from oumi_fireworks.accept.answer_json import NoJSONError, parse_json
from oumi_fireworks.accept.rules import AcceptRules
from oumi_fireworks.accept.schemas import Schema
from oumi_fireworks.completions import answer_choice
from oumi_fireworks.errors import OptionError
from oumi_fireworks.grammar import ended, number

CUT_OFF_KIND, EMPTY_KIND, NO_JSON_KIND = "cut off", "empty", "no JSON"

_LONGEST_REASON = 500
"""Characters of what a test of the user's says."""

_TOOL_SETS = 256
"""Sets of tools whose schemas are kept compiled."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an answer does not hold.

    Attributes:
        kind: In few words: ``cut off``, ``schema: /items/3/price is not a number``.
        message: For people, and for the model that is to do better: a whole sentence.
        worth: How near it came: the more rules an answer has met, the higher. Of several rejected
            answers of a row, the one that is worth most is kept.
    """

    kind: str
    message: str
    worth: int


class Acceptance:
    """Rules, compiled once for all answers of a run.

    Args:
        rules: What an answer has to be.
        fields: The fields that all requests share: ``schema: true`` is the schema among them, and
            tools among them are those of every row.

    Raises:
        OptionError: If a schema is broken, or ``schema: true`` finds none.
    """

    def __init__(self, rules: AcceptRules, fields: Mapping[str, Any]) -> None:
        self.rules = rules
        self.schema = _schema_of(rules.schema, fields)
        self._tools: Sequence[Mapping[str, Any]] = fields.get("tools") or ()
        if rules.tools:
            self.require_tools(self._tools)

    @property
    def needs_tools(self) -> bool:
        """Whether the tools of each row have to be known."""
        return self.rules.tools and not self._tools

    def require_tools(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """Refuse tools that no call could be held against.

        Raises:
            OptionError: If the schema of one is broken.
        """
        _tool_schemas(orjson.dumps(tools))

    def tools_of(self, tools: Sequence[Mapping[str, Any]]) -> Mapping[str, Schema]:
        """Return the schemas of the arguments by name, of a row with these tools of its own."""
        return _tool_schemas(orjson.dumps(self._tools or tools))


def verdict(
    completion: Mapping[str, Any],
    acceptance: Acceptance,
    tools: Sequence[Mapping[str, Any]] = (),
    answered: object = None,
) -> Rejection | None:
    """Say why an answer does not hold; None where it does.

    The answer is the first choice, as it is everywhere: Oumi keeps no other.

    Args:
        completion: The chat completion; something with an answer in it.
        acceptance: What it has to be.
        tools: The tools of the row, where it has its own.
        answered: The conversation with the answer, for a test of the user's.
    """
    choice = answer_choice(completion)
    if choice is None:
        return None  # no answer: another matter, and not one of rules
    rules, message = acceptance.rules, choice["message"]
    text, calls = _text_of(message.get("content")), message.get("tool_calls") or ()
    is_blank = not calls and not text.strip()
    if rules.finish_reason and (found := _finish(choice, rules, message, is_blank=is_blank)):
        return found
    if rules.not_empty and is_blank:
        return Rejection(EMPTY_KIND, "The answer is empty" + ended(_only_thoughts(message)), 0)
    if (rules.json or acceptance.schema is not None) and (text.strip() or not calls):
        found = _json(text, acceptance.schema, choice.get("finish_reason"))
        if found is not None:
            return found
    if rules.tools and calls:
        found = _calls(calls, acceptance.tools_of(tools))
        if found is not None:
            return found
    return None if rules.test is None else _tested(rules.test, answered)


def _finish(
    choice: Mapping[str, Any], rules: AcceptRules, message: Mapping[str, Any], *, is_blank: bool
) -> Rejection | None:
    reason = choice.get("finish_reason")
    reason = reason.lower() if isinstance(reason, str) else None
    if reason in rules.finish_reason:
        return None
    worth = 0 if is_blank else 1
    if reason == "length":
        where = _only_thoughts(message) if is_blank else ""
        return Rejection(
            CUT_OFF_KIND, f"The answer is cut off at the limit of its tokens{where}.", worth
        )
    shown = "not given" if reason is None else f"{reason:.40}"
    return Rejection(
        f"finish_reason: {shown}", f"The answer's finish_reason is {ended(shown)}", worth
    )


def _only_thoughts(message: Mapping[str, Any]) -> str:
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    if not isinstance(thoughts, str):
        return ""
    return f": the model has spent its tokens on reasoning ({number(len(thoughts), 'character')})"


def _json(text: str, schema: Schema | None, finish_reason: object) -> Rejection | None:
    try:
        value = parse_json(text)
    except NoJSONError as error:
        cut = ", and is cut off at the limit of its tokens" if finish_reason == "length" else ""
        return Rejection(NO_JSON_KIND, f"The answer is no JSON: it {ended(f'{error}{cut}')}", 2)
    fault = None if schema is None else schema.fault(value)
    if fault is None:
        return None
    return Rejection(f"schema: {fault}", f"The answer does not fit the schema: {ended(fault)}", 3)


def _calls(calls: object, schemas: Mapping[str, Schema]) -> Rejection | None:
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        function = function if isinstance(function, dict) else {}
        fault = _call_fault(str(function.get("name"))[:64], function.get("arguments"), schemas)
        if fault is not None:
            return Rejection(f"tool call: {fault}", f"A tool call is wrong: {ended(fault)}", 3)
    return None


def _call_fault(name: str, arguments: object, schemas: Mapping[str, Schema]) -> str | None:
    if name not in schemas:
        return f"there is no tool {name}"
    if isinstance(arguments, str):
        try:
            arguments = parse_json(arguments)
        except NoJSONError:
            return f"the arguments of {name} are no JSON"
    if not isinstance(arguments, dict):
        return f"the arguments of {name} are no JSON object"
    fault = schemas[name].fault(arguments)
    return None if fault is None else f"of the arguments of {name}, {fault}"


def _tested(test: Callable[[Any], str | None], answered: object) -> Rejection | None:
    try:
        reason = test(answered)
    except Exception as error:
        # A test that breaks has not said that the answer holds; and what was paid for stays.
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if reason is None:
        return None
    said = " ".join(str(reason).split())[:_LONGEST_REASON] or "the test gives no reason"
    return Rejection(said, f"The answer does not hold: {ended(said)}", 4)


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(
        part["text"]
        for part in parts
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


@lru_cache(_TOOL_SETS)
def _tool_schemas(tools: bytes) -> Mapping[str, Schema]:
    """Return the schemas of the arguments of some tools, as JSON, by their names."""
    functions = [tool.get("function") for tool in orjson.loads(tools) if isinstance(tool, dict)]
    return {
        str(function.get("name")): Schema(
            function.get("parameters") or {}, f"the tool {function.get('name')}'s parameters"
        )
        for function in functions
        if isinstance(function, dict)
    }


def _schema_of(source: object, fields: Mapping[str, Any]) -> Schema | None:
    if source is None:
        return None
    if source is not True:
        return Schema(source, "accept.schema")
    guided = guided_schema(fields)
    if guided is None:
        raise OptionError(
            "accept.schema is true, and there is no schema: set generation.guided_decoding.json, "
            "or write the schema in the place of true."
        )
    return Schema(guided, "the schema of guided_decoding")


def guided_schema(fields: Mapping[str, Any]) -> object:
    """Return the JSON schema that requests ask the service to keep to; None without one."""
    form = fields.get("response_format")
    if isinstance(form, Mapping) and form.get("type") == "json_schema":
        named = form.get("json_schema", form.get("schema"))
        if isinstance(named, str):
            return named
        return named.get("schema", named) if isinstance(named, Mapping) else None
    return fields.get("guided_json")
