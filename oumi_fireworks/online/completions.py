"""An answer → a completion, or the error that it is."""

from __future__ import annotations

from typing import Any

from oumi_fireworks.api.lenient_json import json_or_text
from oumi_fireworks.api.refusals import error_from_answer, message_and_code
from oumi_fireworks.api.retry_after import read_retry_after
from oumi_fireworks.completions import answer_choice
from oumi_fireworks.errors import ConfigurationError, MalformedAnswerError
from oumi_fireworks.online.session import HttpResponse
from oumi_fireworks.online.streamed_completion import StreamedCompletion

__all__ = ["Completion", "completion_in"]

Completion = dict[str, Any]
"""A chat completion as the service sent it, with at least one choice that has a message."""

_QUOTED = 200
"""Characters of a broken answer that an error shows."""


def completion_in(
    response: HttpResponse,
    stream: StreamedCompletion | None = None,
    *,
    where: str,
    secret: str = "",
) -> Completion:
    """Read the completion that an answer brings.

    Args:
        response: The answer.
        stream: What was streamed, if the request asked for that.
        where: What was asked, for errors.
        secret: The key, blanked out where the service repeats it.

    Raises:
        APIError: The service refused; the class says why.
        ConfigurationError: It redirects, and the key is not sent on.
        MalformedAnswerError: It is cut off, reports an error in spite of its status, or has no
            choice with a message.
    """
    if stream is not None and stream.has_begun:
        completion = stream.completion()
        if completion is None:
            raise MalformedAnswerError(f"{where} sent a stream that broke off before its end.")
        return _completion(completion, where, secret)
    if 200 <= response.status < 300:
        return _completion(json_or_text(response.body), where, secret)
    if 300 <= response.status < 400:
        raise ConfigurationError(
            f"{where} redirects to {response.headers.get('Location', 'nowhere')}. The key is not "
            "sent on: if the service is there now, make it the API URL."
        )
    body = response.body.replace(secret.encode(), b"***") if secret else response.body
    raise error_from_answer(
        where,
        response.status,
        json_or_text(body),
        retry_after=read_retry_after(response.headers),
    )


def _completion(value: Any, where: str, secret: str) -> Completion:
    if isinstance(value, dict) and answer_choice(value) is not None:
        return value
    if isinstance(value, dict) and value.get("error"):
        what = f"an error after all: {message_and_code(value)[0]}"
    elif isinstance(value, dict):
        what = "no choice with a message"
    else:
        what = "broken JSON"
    shown = str(value)
    if len(shown) > _QUOTED:
        shown = f"{shown[:_QUOTED]}..."
    text = f"{where} answered with success, but sent {what}. The answer: {shown}"
    raise MalformedAnswerError(text.replace(secret, "***") if secret else text)
