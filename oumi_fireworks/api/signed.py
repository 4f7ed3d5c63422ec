"""What signed storage answers, and what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp

from oumi_fireworks.api.retry_after import read_retry_after
from oumi_fireworks.errors import ServerError, StorageError
from oumi_fireworks.safe_text import one_line

UrlSource = Callable[[], Awaitable[str]]
"""Gives a signed URL; called again when the one in hand went stale."""

_TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
_STALE = frozenset({400, 401, 403})
"""Statuses of storage: 400 or 403 for an expired signature, 401 for a mangled one."""


def is_stale(error: StorageError) -> bool:
    """Tell whether another signed URL may help."""
    return error.status in _STALE


async def require_stored(response: aiohttp.ClientResponse, what: str) -> None:
    """Raise what storage refuses.

    Args:
        response: Its answer.
        what: What was tried, for the message.

    Raises:
        ServerError: If it could not answer this time.
        StorageError: If it says no.
    """
    if response.status in (200, 201, 206):
        return
    text = one_line((await response.content.read(500)).decode("utf-8", "replace"))
    message = f"{what} answered {response.status}: {text or 'no message'}"
    if response.status in _TEMPORARY:
        retry_after = read_retry_after(response.headers)
        raise ServerError(message, status=response.status, retry_after=retry_after)
    raise StorageError(message, status=response.status)
