"""Where Oumi's types meet Fireworks': conversations out, answers back in.

Four calls: `check_conversation` before anything is sent, `prompt_of` for what a conversation asks,
`RequestTemplate` for the request bodies, `to_conversation` for the answers.
"""

from __future__ import annotations

from oumi_fireworks.conversion.answers import to_conversation
from oumi_fireworks.conversion.cautions import Cautions
from oumi_fireworks.conversion.digests import prompt_digest, prompt_key, prompt_outline
from oumi_fireworks.conversion.messages import caution, check_conversation, name_of, tool_bodies
from oumi_fireworks.conversion.plain import (
    plain_conversation,
    plain_prompt,
    plainly_answered,
    why_unreadable,
)
from oumi_fireworks.conversion.prompts import PlainPrompt, Prompt, prompt_of
from oumi_fireworks.conversion.requests import SUPPORTED_PARAMS, RequestTemplate
from oumi_fireworks.conversion.settings import GenerationSettings

__all__ = [
    "Cautions",
    "GenerationSettings",
    "PlainPrompt",
    "Prompt",
    "RequestTemplate",
    "SUPPORTED_PARAMS",
    "caution",
    "check_conversation",
    "name_of",
    "plain_conversation",
    "plain_prompt",
    "plainly_answered",
    "prompt_digest",
    "prompt_key",
    "prompt_of",
    "prompt_outline",
    "to_conversation",
    "tool_bodies",
    "why_unreadable",
]
