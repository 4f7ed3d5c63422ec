"""Everything that can go wrong between this package and Fireworks.

::

    FireworksError (RuntimeError)
    ├── ConfigurationError (also ValueError)   a setting that cannot work; nothing was sent
    ├── ConnectionFailedError                  no answer: refused, reset, timed out
    ├── MalformedAnswerError                   an answer that is not what the protocol says
    ├── ChecksumError                          a download that is not what storage holds
    ├── StorageError                           signed storage said no
    └── APIError                               Fireworks said no; has ``status`` and ``code``
        ├── InvalidRequestError     400, 413, 422
        ├── AuthenticationError     401, 403
        ├── PaymentRequiredError    402
        ├── NotFoundError           404, 405, 501
        ├── ConflictError           409
        ├── SuspendedError          412
        ├── RateLimitError          429
        └── ServerError             408, 5xx

Every class pickles, so that errors cross process borders, and none ever holds a key.
"""

from __future__ import annotations

import orjson

_LONGEST_EXCERPT = 500


class FireworksError(RuntimeError):
    """The root of the tree. A ``RuntimeError``, because that is what Oumi's callers catch."""


class ConfigurationError(FireworksError, ValueError):
    """A key, an account, a URL or a name that cannot work. Raised before anything is sent."""


class ConnectionFailedError(FireworksError):
    """No complete answer came: the connection was refused, reset or timed out."""


class MalformedAnswerError(FireworksError):
    """An answer arrived that is not what the protocol says, such as half a JSON object."""


class ChecksumError(FireworksError):
    """A downloaded file differs from the checksum that storage sent with it."""


class StorageError(FireworksError):
    """Signed storage refused an upload or a download.

    Attributes:
        status: HTTP status, 0 when unknown.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class APIError(FireworksError):
    """Fireworks answered with an error.

    Attributes:
        status: HTTP status, 0 when unknown.
        code: The service's own code: a gRPC number or a name such as ``UNAUTHORIZED``.
        retry_after: Seconds that the service asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: int | str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after

    @property
    def status_code(self) -> int:
        """``status`` under the name that Oumi looks for."""
        return self.status


class InvalidRequestError(APIError):
    """400, 413 or 422: the request is wrong and will be wrong again."""


class AuthenticationError(APIError):
    """401 or 403: the key is wrong, or may not do this."""


class PaymentRequiredError(APIError):
    """402: the account has no means of payment, or has run out of it."""


class NotFoundError(APIError):
    """404, or a route that the service does not have (405, 501)."""


class ConflictError(APIError):
    """409: a resource with this id exists already."""


class SuspendedError(APIError):
    """412: the account is suspended."""


class RateLimitError(APIError):
    """429: too many requests for now."""


class ServerError(APIError):
    """408 or 5xx: the service could not answer this time."""


_BY_STATUS: dict[int, type[APIError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: AuthenticationError,
    404: NotFoundError,
    405: NotFoundError,
    408: ServerError,
    409: ConflictError,
    412: SuspendedError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
    501: NotFoundError,
}

_NEXT_STEP: dict[type[APIError], str] = {
    AuthenticationError: "Check the key in FIREWORKS_API_KEY and that it may use this account.",
    PaymentRequiredError: "Add a means of payment to the Fireworks account.",
    SuspendedError: "The Fireworks account is suspended; see its billing page.",
}


def error_class(status: int) -> type[APIError]:
    """Return the class for an HTTP error status."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else APIError


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
    kind = error_class(status)
    message, code = message_and_code(answer)
    text = f"{where} answered {status}: {message or 'no message'}"
    if kind in _NEXT_STEP:
        text = f"{text.rstrip('.')}. {_NEXT_STEP[kind]}"
    return kind(text, status=status, code=code, retry_after=retry_after)


def message_and_code(answer: object) -> tuple[str, int | str | None]:
    """Return the service's message and code from any of the shapes that it uses."""
    if isinstance(answer, dict):
        inner = answer.get("error") or answer
        if isinstance(inner, dict):
            message = inner.get("message")
            code = inner.get("code")
            return (
                message if isinstance(message, str) and message else _excerpt(inner),
                code if isinstance(code, int | str) else None,
            )
        return _excerpt(inner), None
    return _excerpt(answer), None


def _excerpt(answer: object) -> str:
    """Return the beginning of an answer of no known shape: all the message that there is."""
    if not answer:
        return ""
    if isinstance(answer, str):
        return answer.strip()[:_LONGEST_EXCERPT]
    try:
        return orjson.dumps(answer)[:_LONGEST_EXCERPT].decode("utf-8", "replace")
    except orjson.JSONEncodeError:  # nested too deeply
        return ""
