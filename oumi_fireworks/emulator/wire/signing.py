"""Signed URLs: a path, a method and a time, and a signature that ties them together."""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from urllib.parse import urlencode

_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_SECONDS = re.compile(r"[0-9]{1,12}")


def sign(
    secret: str,
    method: str,
    path: str,
    *,
    date: int,
    lifetime: int,
    headers: Mapping[str, str],
) -> str:
    """Return the query of a signed URL.

    Args:
        secret: Known to the signer alone.
        method: HTTP method that the URL is good for.
        path: Its path.
        date: When it was signed, in seconds since the epoch.
        lifetime: Seconds for which it is good.
        headers: Headers, by their lower-case names, that the request has to carry.

    Returns:
        The query string, without its question mark.
    """
    return urlencode(
        {
            "X-Goog-Algorithm": "GOOG4-HMAC-SHA256",
            "X-Goog-Date": time.strftime(_DATE_FORMAT, time.gmtime(date)),
            "X-Goog-Expires": str(lifetime),
            "X-Goog-SignedHeaders": ";".join(("host", *sorted(headers))),
            "X-Goog-Signature": _signature(secret, method, path, date, lifetime, headers),
        }
    )


def verify(
    secret: str,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    now: float,
) -> str | None:
    """Return what is wrong with a signed request.

    Args:
        secret: As it was signed with.
        method: The request's method.
        path: The request's path.
        query: The request's query.
        headers: The request's headers.
        now: Seconds since the epoch.

    Returns:
        "SignatureDoesNotMatch" or "ExpiredToken", or None if all is well.
    """
    date, lifetime = _seconds_of(query.get("X-Goog-Date", "")), query.get("X-Goog-Expires", "")
    if date is None or not _SECONDS.fullmatch(lifetime):
        return "SignatureDoesNotMatch"
    names = query.get("X-Goog-SignedHeaders", "").split(";")
    signed = {name: headers.get(name, "") for name in names if name != "host"}
    wanted = _signature(secret, method, path, date, int(lifetime), signed)
    given = query.get("X-Goog-Signature", "").encode(errors="replace")
    if not hmac.compare_digest(wanted.encode(), given):
        return "SignatureDoesNotMatch"
    return "ExpiredToken" if now >= date + int(lifetime) else None


def _seconds_of(date: str) -> int | None:
    """Return the seconds since the epoch at a date such as `20260830T035748Z`."""
    try:
        return calendar.timegm(time.strptime(date, _DATE_FORMAT))
    except ValueError:
        return None


def _signature(
    secret: str, method: str, path: str, date: int, lifetime: int, headers: Mapping[str, str]
) -> str:
    lines = [method, path, str(date), str(lifetime)]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers)]
    return hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
