"""Lists that come in pages (AIP-158): an opaque token leads to the next one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The resources on this page.
        next_token: Leads to the next page; empty on the last. Opaque: not an id.
        total: How many there are on all pages, where the service says so, else 0.
    """

    items: Sequence[T]
    next_token: str = ""
    total: int = 0


async def every(fetch: Callable[[str], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """Yield the items of all pages; ``fetch`` takes a page token, empty for the first."""
    token = ""
    while True:
        page = await fetch(token)
        for item in page.items:
            yield item
        if not page.next_token or page.next_token == token:
            return
        token = page.next_token
