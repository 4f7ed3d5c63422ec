"""The input of OpenAI's Batch API: each line is a request.

https://platform.openai.com/docs/api-reference/batch/request-input
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import starmap
from typing import Any

from oumi.core.types.conversation import Conversation

from oumi_fireworks.conversion import Prompt, to_conversation
from oumi_fireworks.tables.ids import named
from oumi_fireworks.tables.json_lines import parse, prompt_in
from oumi_fireworks.tables.line_rows import LineFiles, LineRow
from oumi_fireworks.tables.lines import numbered_lines
from oumi_fireworks.user_json import dumps

_OF_CONVERSATION = frozenset({"messages", "tools"})
_OF_RUN = frozenset({"model", "stream", "stream_options", "n"})
"""Fields of a body that the configuration decides, or that have no meaning here."""


class OpenAIRows(LineFiles):
    """Files of requests, one a line: ``custom_id`` and ``body``.

    Args:
        files: The files.
    """

    def rows(self) -> Iterator[OpenAIRow]:
        """Yield the lines that are not blank."""
        return starmap(OpenAIRow, numbered_lines(self._files))


class OpenAIRow(LineRow):
    """One request."""

    __slots__ = ()

    def conversation(self) -> Conversation:
        """Return the messages of its body; the ``custom_id`` is the conversation's id."""
        return parse(self._asked())

    def prompt(self) -> Prompt:
        """Return what they ask."""
        return prompt_in(self._asked())

    def parameters(self) -> Mapping[str, Any]:
        """Return the other fields of its body; they win over those of the configuration."""
        _, body = self._request()
        return {
            name: value
            for name, value in body.items()
            if name not in _OF_CONVERSATION and name not in _OF_RUN and value is not None
        }

    def unsent(self) -> set[str]:
        """Return nothing: what is not sent of a request is in none of its fields."""
        return set()

    def as_line(self, name: str) -> dict[str, Any]:
        """Return the request, under this id: its body has parameters of its own."""
        return self.fields() | {"custom_id": name}

    def answered(self, completion: Mapping[str, Any], index: int) -> dict[str, Any]:
        """Return its conversation with the answer."""
        answered: dict[str, Any] = to_conversation(
            completion, named(self.conversation(), index)
        ).to_dict()
        return answered

    def _asked(self) -> bytes:
        """Return its conversation, as a line."""
        request, body = self._request()
        asked = {"messages": body["messages"], "conversation_id": request.get("custom_id")}
        if body.get("tools") is not None:
            asked["tools"] = body["tools"]
        return dumps(asked)

    def _request(self) -> tuple[dict[str, Any], dict[str, Any]]:
        request = self.fields()
        url = request.get("url")
        if isinstance(url, str) and not url.endswith("/chat/completions"):
            raise ValueError(f"it is a request to {url}, and only chat completions are run")
        body = request.get("body")
        if not isinstance(body, dict) or "messages" not in body:
            raise ValueError("it has no body with messages")
        return request, body
