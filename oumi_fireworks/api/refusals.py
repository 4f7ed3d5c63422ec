"""Which error an answer of Fireworks becomes."""

from __future__ import annotations

import re

import orjson

from oumi_fireworks.errors import (
    APIError,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitError,
    RouteError,
    ServerError,
    SuspendedError,
)
from oumi_fireworks.grammar import ended
from oumi_fireworks.safe_text import one_line

_LONGEST_EXCERPT = 500
"""Characters of the service's answer that an error shows."""

_BY_STATUS: dict[int, type[APIError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: AuthenticationError,
    405: RouteError,
    408: ServerError,
    425: ServerError,
    409: ConflictError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
    501: RouteError,
}

_GRPC_NOT_FOUND = 5
"""gRPC's NOT_FOUND, https://grpc.io/docs/guides/status-codes/"""

_CONTROL_PLANE = "/v1/accounts"

_NEXT_STEP: dict[type[APIError], str] = {
    AuthenticationError: "Check the key in FIREWORKS_API_KEY and that it may use this account.",
    PaymentRequiredError: "Add a means of payment to the Fireworks account.",
}

_SUSPENSIONS = {
    "FAILED_PAYMENTS": "A payment has failed: see the account's billing page.",
    "CREDIT_DEPLETED": "Its credits are used up: buy some on its billing page.",
    "MONTHLY_SPEND_LIMIT_EXCEEDED": (
        "Its spending limit for this month is reached: raise it on its billing page."
    ),
    "BLOCKED_BY_ABUSE_RULE": "A rule against abuse has blocked it: write to Fireworks' support.",
}
"""Why an account is suspended (`Account.suspendState` of fireworks-ai), and what to do."""
_SUSPENDED = "The Fireworks account is suspended; see its billing page."

_LOADING = re.compile(r"\b(lora|adapter|addon)s?\b|failed to load", re.IGNORECASE)
"""Words of a 412 about a model's adapter that failed to load."""

_ZERO_RETENTION = re.compile(r"zero.data.retention|\bZDR\b", re.IGNORECASE)
"""Words of a refusal because of Zero Data Retention. The guides say that such accounts get no
dataset and no batch job; they do not say with which status."""
_NO_BATCHES = (
    "Accounts under Zero Data Retention cannot keep datasets, so they have no batch jobs: use "
    "online inference."
)


def _error_class(where: str, status: int, answer: object) -> type[APIError]:
    """Return the class for an HTTP error status."""
    if status == 404:
        return NotFoundError if _names_something_absent(where, answer) else RouteError
    if status == 412:
        is_model_s = _CONTROL_PLANE not in where and _LOADING.search(message_and_code(answer)[0])
        return InvalidRequestError if is_model_s else SuspendedError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else APIError


def _names_something_absent(where: str, answer: object) -> bool:
    """Tell a 404 of the service from one of whatever stands between us and it.

    The gateway of the control plane sends ``{"code": 5, "message"}``. The inference plane sends
    ``{"error": {"message"}}`` for a model that is not there; servers that speak its protocol
    also send ``{"object": "error", "message"}``.
    """
    if not isinstance(answer, dict):
        return False
    if answer.get("code") == _GRPC_NOT_FOUND:
        return True
    if _CONTROL_PLANE in where:
        return False
    error = answer.get("error") or (answer if answer.get("object") == "error" else None)
    return isinstance(error, dict) and isinstance(error.get("message"), str)


def error_from_answer(
    where: str,
    status: int,
    answer: object,
    *,
    retry_after: float | None = None,
) -> APIError:
    """Build the error for an answer, keeping the service's own words.

    Args:
        where: What was asked, such as ``POST /v1/accounts/a/datasets``.
        status: HTTP status.
        answer: The parsed JSON body, or its text where it is not JSON. Understood are the
            gateway's ``{"code", "message"}`` and ``{"error": {"message", "code"}}``.
        retry_after: Seconds, from the ``Retry-After`` header.
    """
    kind = _error_class(where, status, answer)
    message, code = message_and_code(answer)
    text = f"{where} answered {status}: {message or 'no message'}"
    step = _next_step(kind, text)
    if step:
        text = f"{ended(text)} {step}"
    return kind(text, status=status, code=code, retry_after=retry_after)


def suspension_in(text: str) -> str:
    """Return what to do about a suspended account, whose message names the reason or not."""
    return next((step for name, step in _SUSPENSIONS.items() if name in text), _SUSPENDED)


def _next_step(kind: type[APIError], text: str) -> str:
    """Return the sentence that ends an error's message; empty where there is nothing to add."""
    if kind is SuspendedError:
        return suspension_in(text)
    if kind in (InvalidRequestError, AuthenticationError) and _ZERO_RETENTION.search(text):
        return _NO_BATCHES
    return _NEXT_STEP.get(kind, "")


def message_and_code(answer: object) -> tuple[str, int | str | None]:
    """Return the service's message and code from any of the shapes that it uses."""
    if isinstance(answer, dict):
        inner = answer.get("error") or answer
        if isinstance(inner, dict):
            message = inner.get("message")
            code = inner.get("code")
            return (
                one_line(message) if isinstance(message, str) and message else _excerpt(inner),
                code if isinstance(code, int | str) else None,
            )
        return _excerpt(inner), None
    return _excerpt(answer), None


def _excerpt(answer: object) -> str:
    """Return the beginning of an answer of no known shape: all the message that there is."""
    if not answer:
        return ""
    if isinstance(answer, str):
        return one_line(answer[:_LONGEST_EXCERPT])
    try:
        return orjson.dumps(answer)[:_LONGEST_EXCERPT].decode("utf-8", "replace")
    except orjson.JSONEncodeError:  # nested too deeply
        return ""
