"""What stands between this machine and a server: proxies, certificates, and failed connections."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from oumi_fireworks.api.root import BASE_URL_VARIABLE, is_loopback
from oumi_fireworks.errors import (
    ConfigurationError,
    ConnectionFailedError,
    FireworksError,
    UnreachableError,
)
from oumi_fireworks.grammar import ended
from oumi_fireworks.safe_text import safe

TRANSPORT_FAILURES = (aiohttp.ClientError, TimeoutError, ConnectionError, ssl.SSLError)
"""What aiohttp raises when no complete answer came. Not every OSError: a full disk is another."""

_UNREACHABLE = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL}
)
"""Errors of the system: nothing listens there, or the network does not lead there."""


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL: that of its scheme, or ``ALL_PROXY``.

    Not aiohttp's ``trust_env``: that would also let a ``.netrc`` replace our key. Never for this
    machine: plain http is allowed there because the key does not leave it.

    Raises:
        ConfigurationError: If the proxy is none that can be used; the message names the variable.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    kind = parts.scheme if parts.scheme in proxies else "all"
    proxy = proxies.get(kind)
    if proxy is None:
        return None
    where = _variable_of(kind)
    scheme = proxy.partition("://")[0].lower() if "://" in proxy else ""
    if scheme.startswith("socks"):
        raise ConfigurationError(
            f"{where} names a SOCKS proxy ({proxy}), and only HTTP proxies can be used. Name one "
            f"as http://host:port, or unset {where}."
        )
    if scheme not in ("http", "https") or not urlsplit(proxy).hostname:
        shown = proxy.rpartition("@")[2]  # a password may stand before it
        raise ConfigurationError(
            f"{where} names a proxy that is no URL ({shown}). Write it as http://host:port."
        )
    return proxy


def _variable_of(kind: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the variable that names the proxy; the small name comes first, as in urllib."""
    names = (f"{kind}_proxy", f"{kind}_proxy".upper())
    return next((name for name in names if environ.get(name)), names[1])


def failure_of(what: str, error: BaseException, *, has_answered: bool = True) -> FireworksError:
    """Return our error for a connection that brought no complete answer.

    Args:
        what: What was done, for the message.
        error: One of :data:`TRANSPORT_FAILURES`.
        has_answered: Whether the server has answered anything before.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return ConfigurationError(
            f"{what}: the server's certificate cannot be verified: {ended(described(error))} Where "
            "a proxy or a server of your own signs certificates, name its CA file in the "
            "environment variable SSL_CERT_FILE."
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return UnreachableError(
            f"{what}: the proxy cannot be reached: {ended(described(error))} Check "
            f"{_variable_of('https')}."
        )
    if not has_answered and _is_unreachable(error):
        return UnreachableError(
            f"{what}: nothing answers there: {ended(described(error))} Check the network, and the "
            f"URL: it comes from {BASE_URL_VARIABLE} or api_url where one of them is set."
        )
    return ConnectionFailedError(f"{what}: {described(error)}")


def described(error: BaseException) -> str:
    """Say what a connection met; some of these exceptions have no text of their own."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(error) or type(error).__name__


def cause_of(error: BaseException) -> BaseException | None:
    """Return an error to chain ours to; None where its text must not be shown."""
    return error if safe(str(error)) == str(error) else None


def _is_unreachable(error: BaseException) -> bool:
    if not isinstance(error, aiohttp.ClientConnectorError):
        return False
    return isinstance(error.os_error, socket.gaierror) or error.os_error.errno in _UNREACHABLE
