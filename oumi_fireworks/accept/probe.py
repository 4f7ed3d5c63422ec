"""What rules would reject that are not asked for: counted, and said with the line to add."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from oumi_fireworks.accept.rules import SOUND_FINISH_REASONS, AcceptRules
from oumi_fireworks.accept.verdicts import (
    CUT_OFF_KIND,
    EMPTY_KIND,
    NO_JSON_KIND,
    Acceptance,
    guided_schema,
    verdict,
)
from oumi_fireworks.errors import OptionError
from oumi_fireworks.grammar import form, number

_SCHEMA_KIND = "not the schema"

_RULES = {
    CUT_OFF_KIND: f"finish_reason: [{', '.join(SOUND_FINISH_REASONS)}]",
    EMPTY_KIND: "not_empty: true",
    NO_JSON_KIND: "json: true",
    _SCHEMA_KIND: "schema: true",
}
"""What has answers of a kind rejected."""


_ALL_HELD = 10_000
"""Answers that are all held against a schema, which takes longer than everything else together."""

_THEN_EVERY = 20
"""Of those that follow, one in so many."""


class Probe:
    """Looks at answers that are taken, for what would be worth a rule.

    In a run that has not asked for it, holding every answer against a schema would cost too much:
    from the 10,000th answer on it is one in twenty. All else is counted in full.

    Args:
        rules: What answers have to be already; None where every answer is taken.
        fields: The fields that all requests share: what they ask the service for.
    """

    def __init__(self, rules: AcceptRules | None, fields: Mapping[str, Any]) -> None:
        set_already = rules or AcceptRules()
        form = fields.get("response_format")
        wants_json = isinstance(form, Mapping) and form.get("type") == "json_object"
        wants_schema = guided_schema(fields) is not None
        self._has_schema = wants_schema and set_already.schema is None
        quick = AcceptRules(
            finish_reason=() if set_already.finish_reason else SOUND_FINISH_REASONS,
            not_empty=not set_already.not_empty,
            json=self._has_schema
            or (wants_json and not set_already.json and set_already.schema is None),
        )
        try:
            schema = self._has_schema or None
            self._full = Acceptance(replace(quick, schema=schema), fields)
        except OptionError:  # a schema that only the service understands
            self._has_schema = False
            quick = replace(quick, json=False)
            self._full = Acceptance(quick, fields)
        self._quick = Acceptance(quick, fields)
        self.answers = 0
        """Answers that were looked at."""
        self.held = 0
        """Those that were held against the schema, where there is one."""
        self.kinds: Counter[str] = Counter()
        """Those that would be rejected, by kind: cut off, empty, no JSON, not the schema."""

    def look(self, completion: Mapping[str, Any]) -> None:
        """Look at an answer."""
        self.answers += 1
        is_held = self.answers <= _ALL_HELD or not self.answers % _THEN_EVERY
        self.held += is_held
        found = verdict(completion, self._full if is_held else self._quick)
        if found is None:
            return
        if found.kind in (CUT_OFF_KIND, EMPTY_KIND, NO_JSON_KIND):
            self.kinds[found.kind] += 1
        elif found.kind.startswith("schema: "):
            self.kinds[_SCHEMA_KIND] += 1

    def advice(self) -> list[str]:
        """Say what would be rejected, and by which line; nothing where there is nothing to say."""
        if not self.kinds:
            return []
        found = [kind for kind in _RULES if self.kinds[kind]]
        counted = ", ".join(f"{self.kinds[kind]:,} {kind}" for kind in found)
        if self.kinds[_SCHEMA_KIND] and self.held < self.answers:
            counted += f" (of {self.held:,} that were held against it)"
        if self._has_schema:  # which JSON is a part of
            found = [_SCHEMA_KIND if kind == NO_JSON_KIND else kind for kind in found]
        rules = ", ".join(dict.fromkeys(_RULES[kind] for kind in found))
        return [
            f"Among {number(self.answers, 'answer')} that {form(self.answers, 'was', 'were')} "
            f"taken: {counted}. To have such rows asked for again, and written apart where that "
            f"does not help, add to model.model_kwargs.fireworks: accept: {{{rules}}} and "
            "on_reject: {max_new_tokens: x2, temperature: +0.2}"
        ]
