"""Lists, a page at a time: order, opaque page tokens, sizes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

import orjson

from oumi_fireworks.emulator.wire.errors import ApiError, Code, gateway_error
from oumi_fireworks.emulator.wire.filters import FilterError, field_of, parse_filter
from oumi_fireworks.emulator.wire.protojson import camel

_DEFAULT_SIZE = 50
_LARGEST_SIZE = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list.

    Args:
        items: The resources on it.
        next_token: What to ask for the next page with; empty on the last.
        total: How many resources the whole list has.
    """

    items: list[dict[str, Any]]
    next_token: str
    total: int


def page_of(
    items: list[dict[str, Any]], query: Mapping[str, str], default_order: str, secret: str
) -> Listing:
    """Return the page that a request asks for.

    Args:
        items: All resources, as JSON objects with a `name`.
        query: The request's query.
        default_order: The order when the request names none.
        secret: What page tokens are sealed with.

    Raises:
        ApiError: 400 for a page size, a token, a filter or an order that is no good.
    """
    size = _page_size(_parameter(query, "pageSize"))
    condition = _parameter(query, "filter")
    order = _parameter(query, "orderBy") or default_order
    try:
        matches = parse_filter(condition)
    except FilterError as error:
        raise _invalid(f"invalid filter: {error}") from None
    fields = _order(order)
    kept = [item for item in items if matches(item)]
    kept.sort(key=cmp_to_key(lambda a, b: _compare(a, b, fields)))
    total = len(kept)
    context = f"{condition}\n{order}"
    if token := _parameter(query, "pageToken"):
        last = _open_token(token, context, secret)
        kept = [item for item in kept if _compare(item, last, fields) > 0]
    page = kept[:size]
    more = len(kept) > size
    next_token = _seal_token(page[-1], fields, context, secret) if more else ""
    return Listing(
        [_masked(item, _parameter(query, "readMask")) for item in page], next_token, total
    )


def masked(item: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """Return a resource, with no more than the fields that the request's read mask names."""
    return _masked(item, _parameter(query, "readMask"))


def _masked(item: dict[str, Any], mask: str) -> dict[str, Any]:
    names = {camel(name.strip()) for name in mask.split(",")} - {""}
    if not names or "*" in names:
        return item
    return {key: value for key, value in item.items() if key in names}


def _parameter(query: Mapping[str, str], name: str) -> str:
    snake_name = "".join("_" + c.lower() if c.isupper() else c for c in name)
    return query.get(name) or query.get(snake_name) or ""


def _page_size(text: str) -> int:
    if not text:
        return _DEFAULT_SIZE
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _invalid(f"invalid page size {text[:20]!r}")
    return min(int(text), _LARGEST_SIZE) or _DEFAULT_SIZE


def _order(text: str) -> list[tuple[str, bool]]:
    """Field paths, each with whether it goes down; the name comes last and settles ties."""
    fields = []
    for term in text.split(","):
        path, *direction = term.split() or [""]
        if not path or direction not in ([], ["desc"], ["asc"]):
            raise _invalid(f"invalid order by {text[:80]!r}")
        known = {"created_time": "createTime", "createdTime": "createTime"}
        fields.append((known.get(path, path), direction == ["desc"]))
    return [*fields, ("name", fields[-1][1])]


def _compare(a: dict[str, Any], b: dict[str, Any], fields: list[tuple[str, bool]]) -> int:
    for path, down in fields:
        x, y = _sortable(field_of(a, path)), _sortable(field_of(b, path))
        if x != y:
            return (1 if x > y else -1) * (-1 if down else 1)
    return 0


def _sortable(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    return (1, value) if isinstance(value, int | float) else (2, str(value))


def _seal_token(
    last: dict[str, Any], fields: list[tuple[str, bool]], context: str, secret: str
) -> str:
    place: dict[str, Any] = {}
    for path, _ in fields:
        at, *steps = reversed(camel(path).split("."))
        value = {at: field_of(last, path)}
        for step in steps:
            value = {step: value}
        place.update(value)
    body = orjson.dumps(place)
    return base64.urlsafe_b64encode(_seal(body, context, secret) + body).decode().rstrip("=")


def _open_token(token: str, context: str, secret: str) -> dict[str, Any]:
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raise _invalid("invalid page token") from None
    body = data[16:]
    if not hmac.compare_digest(data[:16], _seal(body, context, secret)):
        raise _invalid("invalid page token: it belongs to another request")
    place: dict[str, Any] = orjson.loads(body)
    return place


def _seal(body: bytes, context: str, secret: str) -> bytes:
    sealed = body + b"\n" + context.encode()
    return hmac.new(secret.encode(), sealed, hashlib.sha256).digest()[:16]


def _invalid(message: str) -> ApiError:
    return gateway_error(Code.INVALID_ARGUMENT, message)
