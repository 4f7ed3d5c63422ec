"""The three ways in which the service says no, one for each of its faces."""

from __future__ import annotations

from enum import Enum
from xml.sax.saxutils import escape

import orjson


class Code(Enum):
    """A gRPC status code and the HTTP status that the gateway turns it into."""

    INVALID_ARGUMENT = (3, 400)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)

    @property
    def number(self) -> int:
        """The gRPC number."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[1]


class ApiError(Exception):
    """An answer that is an error, ready to be sent.

    Args:
        status: HTTP status.
        body: The bytes of the answer.
        content_type: Their media type.
        headers: Further headers.
    """

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}


def gateway_error(code: Code, message: str) -> ApiError:
    """Return an error of the control plane: gRPC-gateway JSON."""
    body = {"code": code.number, "message": message, "details": []}
    return ApiError(code.status, orjson.dumps(body))


def inference_error(
    status: int,
    message: str,
    code: str = "INVALID_REQUEST",
    *,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> ApiError:
    """Return an error of the inference plane: the OpenAI shape, with Fireworks' `type: error`."""
    body = {"error": {"message": message, "code": code, "param": param, "type": "error"}}
    return ApiError(status, orjson.dumps(body), headers=headers)


def storage_error(status: int, code: str, message: str) -> ApiError:
    """Return an error of object storage: XML."""
    body = (
        "<?xml version='1.0' encoding='UTF-8'?>"
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    )
    return ApiError(status, body.encode(), content_type="application/xml; charset=UTF-8")


def error_for_path(path: str, status: int, message: str) -> ApiError:
    """Return an error of whichever face of the service answers at `path`."""
    if path.startswith("/storage/"):
        return storage_error(status, "Error", message)
    if path.endswith("/chat/completions"):
        return inference_error(status, message, code="ERROR")
    number = next((c.number for c in Code if c.status == status), 2)
    body = {"code": number, "message": message, "details": []}
    return ApiError(status, orjson.dumps(body))
