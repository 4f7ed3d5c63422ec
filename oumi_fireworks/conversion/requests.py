"""A conversation and generation parameters → the body of a chat completion request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oumi_fireworks.conversion.guided import response_format
from oumi_fireworks.conversion.prompts import Prompt
from oumi_fireworks.conversion.settings import GenerationSettings
from oumi_fireworks.request_fields import (
    check_extra_body,
    check_values,
    fields_to_send,
    plain,
    shown,
    tool_named_by,
    tool_names,
)

SUPPORTED_PARAMS = frozenset(
    {
        "frequency_penalty",
        "guided_decoding",
        "logit_bias",
        "max_new_tokens",
        "min_p",
        "parallel_tool_calls",
        "presence_penalty",
        "seed",
        "stop_strings",
        "temperature",
        "tool_choice",
        "top_p",
    }
)
"""Oumi's generation parameters that reach Fireworks; Oumi warns about any other that is set."""


_SETTINGS = {
    "max_tokens": "generation.max_new_tokens",
    "stop": "generation.stop_strings",
    "response_format": "generation.guided_decoding",
    "user": "remote_params.user_id",
    **{name: f"generation.{name}" for name in SUPPORTED_PARAMS},
}
"""What the user calls the request fields that Oumi's settings become."""


_TWO_NAMES = (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens"))
"""Two names of one field: Fireworks refuses both together."""


class RequestTemplate:
    """What the requests of one run have in common, worked out once.

    Only fields that Fireworks has are ever in a body, and a field that is not set is left out.
    """

    def __init__(
        self,
        generation: GenerationSettings,
        *,
        model: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        user: str | None = None,
    ) -> None:
        """Prepare the bodies of one run.

        Args:
            generation: Oumi's generation parameters; those outside `SUPPORTED_PARAMS` are ignored.
            model: Model of the requests; None for the rows of a batch, whose model is the job's.
            extra_body: Further request fields. They win; None as a value takes a field out.
            user: End-user identifier that the service sees, `remote_params.user_id`.

        Raises:
            OptionError: `extra_body` has a field that cannot work, or a parameter is outside the
                range that Fireworks takes.
            ValueError: Fireworks cannot do the guided decoding that is asked for.
        """
        given = {name: plain(value) for name, value in (extra_body or {}).items()}
        check_extra_body(given)
        extra = fields_to_send(given)
        params = _generation_fields(generation) | {"user": user or None}
        if extra.get("max_completion_tokens") is not None:
            params["max_tokens"] = None  # two names of one field: Fireworks refuses both together
        tool_params = _tool_fields(generation)
        own = {name: value for name, value in (params | tool_params).items() if name not in extra}
        check_values(own, _SETTINGS)
        params |= extra
        self._head = {} if model is None else {"model": model}
        self._params = {name: value for name, value in params.items() if value is not None}
        self._tool_params = {
            name: value
            for name, value in tool_params.items()
            if value is not None and name not in extra
        }
        self._tools_are_fixed = "tools" in extra
        if "tools" in self._params:
            self._params |= self._tool_params
            self._require_tool(self._params["tools"])

    @property
    def shared_fields(self) -> dict[str, Any]:
        """The fields that all bodies share, as JSON values: what tells one run from another."""
        return {**self._params, **self._tool_params}

    def body(self, prompt: Prompt, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make the body of a request.

        Values are shared between the bodies of a template: treat a body as read-only.

        Args:
            prompt: What is asked.
            own: Further request fields of this one alone; they win. Unknown ones are left out.

        Raises:
            OptionError: A field of its own cannot work.
            ValueError: An image cannot be read, the images are too many or too large, or the tools
                lack the one that is to be called.
        """
        body = {**self._head, "messages": prompt.messages(), **self._params}
        if not self._tools_are_fixed and (tools := prompt.tools()):
            body["tools"] = tools
            body |= self._tool_params
            self._require_tool(tools)
        if own:
            check_extra_body(own)
            fields = fields_to_send(own)
            for one, other in _TWO_NAMES:
                if one in fields:
                    body.pop(other, None)
            body |= fields
        return body

    def _require_tool(self, tools: Sequence[object]) -> None:
        """Refuse a choice of a tool that is none of these."""
        choice = self._params.get("tool_choice", self._tool_params.get("tool_choice"))
        chosen = tool_named_by(choice)
        if chosen is not None and chosen not in (names := tool_names(tools)):
            raise ValueError(
                f"tool_choice names the tool {shown(chosen)}, and the tools are "
                f"{', '.join(sorted(names))}"
            )


def _generation_fields(generation: GenerationSettings) -> dict[str, Any]:
    """Request fields for every conversation; None where nothing is set."""
    return {
        "max_tokens": generation.max_new_tokens,
        # Oumi's 0.0 means greedy, the service's default does not: it must be sent.
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "seed": generation.seed,
        # For these Oumi's default switches the thing off, as leaving the field out does.
        "frequency_penalty": generation.frequency_penalty or None,
        "presence_penalty": generation.presence_penalty or None,
        "min_p": generation.min_p or None,
        "stop": plain(generation.stop_strings) or None,
        # JSON has text keys only; Oumi's may be token ids.
        "logit_bias": {str(token): bias for token, bias in generation.logit_bias.items()} or None,
        "response_format": response_format(generation.guided_decoding),
    }


def _tool_fields(generation: GenerationSettings) -> dict[str, Any]:
    """Request fields that speak of tools, and so belong only where there are tools."""
    return {
        "tool_choice": plain(generation.tool_choice),
        "parallel_tool_calls": None if generation.parallel_tool_calls else False,
    }
