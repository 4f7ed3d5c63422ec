"""The options ``accept`` and ``on_reject``, bound to the requests of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from oumi_fireworks.accept.again import Again
from oumi_fireworks.accept.rules import read_accept, read_on_reject
from oumi_fireworks.accept.verdicts import Acceptance


@dataclass(frozen=True)
class AnswerRules:
    """What a run asks of its answers.

    Attributes:
        acceptance: What an answer has to be.
        again: How a row is asked for again whose answer is not that; None for not at all.
        digest: Differs where the rules do. Of a Python function only the name counts.
    """

    acceptance: Acceptance
    again: Again | None
    digest: str

    @property
    def keeps_rejected(self) -> bool:
        """Whether the best of the rejected answers goes into the output at last."""
        return self.acceptance.rules.keep


def bind_rules(accept: object, on_reject: object, fields: Mapping[str, Any]) -> AnswerRules | None:
    """Return the rules for a run; None where every answer is taken.

    Args:
        accept: The option.
        on_reject: The option.
        fields: The fields that all requests share.

    Raises:
        OptionError: If an option cannot work, with these requests or at all.
    """
    rules, policy = read_accept(accept), read_on_reject(on_reject)
    if rules is None:
        return None
    digest = hashlib.sha256(
        orjson.dumps([accept, on_reject], default=_name_of, option=orjson.OPT_SORT_KEYS)
    )
    return AnswerRules(
        acceptance=Acceptance(rules, fields),
        again=None if policy is None else Again(policy, fields),
        digest=digest.hexdigest()[:16],
    )


def _name_of(value: object) -> str:
    """Return the name of a function or a class of the user's."""
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value))}"
