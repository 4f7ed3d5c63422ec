"""Whether an answer of a batch is taken. Light: the command line uses it, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oumi.core.types.conversation import Conversation

from oumi_fireworks.accept.answer_rules import AnswerRules
from oumi_fireworks.accept.row_tools import RowTools
from oumi_fireworks.accept.verdicts import Rejection, verdict
from oumi_fireworks.batch import Answer, Failure, OnOutcome
from oumi_fireworks.conversion import Prompt, RequestTemplate, tool_bodies
from oumi_fireworks.engine.conversations import why_unreadable


def answer_check(rules: AnswerRules | None, tools: RowTools) -> OnOutcome:
    """Return what judges the answers of a batch.

    Args:
        rules: What they have to be; None takes every answer that can be read.
        tools: The tools of each row, where they matter.
    """
    if rules is None:
        return why_unreadable
    acceptance = rules.acceptance

    def check(outcome: Answer | Failure) -> str | Rejection | None:
        if not isinstance(outcome, Answer):
            return None
        fault = why_unreadable(outcome)
        if fault is not None:
            return fault
        row_tools = tools.of(outcome.index) if acceptance.needs_tools else ()
        return verdict(outcome.completion, acceptance, row_tools)

    return check


def request_body(
    template: RequestTemplate,
    rules: AnswerRules | None,
    prompt: Prompt,
    own: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the request of a prompt whose answer can be held against the rules.

    Args:
        template: Makes it.
        rules: What the answer has to be; None where every answer is taken.
        prompt: What is asked.
        own: Request fields of this row alone.

    Raises:
        ValueError: If the request cannot be sent, or a tool's schema is broken.
    """
    body = template.body(prompt, own)
    if rules is not None and rules.acceptance.needs_tools:
        rules.acceptance.require_tools(body.get("tools") or [])
    return body


def rejection_of(
    completion: Mapping[str, Any], rules: AnswerRules, answered: Conversation
) -> Rejection | None:
    """Say why the answer to a conversation does not hold; None where it does.

    Args:
        completion: The answer.
        rules: What it has to be.
        answered: The conversation with the answer.
    """
    tools = answered.tools if rules.acceptance.needs_tools else None
    return verdict(completion, rules.acceptance, tool_bodies(tools or []), answered)
