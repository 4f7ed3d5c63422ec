"""Where Fireworks is, and whether a key may go there."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from oumi_fireworks.errors import ConfigurationError

DEFAULT_ROOT = "https://api.fireworks.ai"
BASE_URL_VARIABLE = "FIREWORKS_BASE_URL"

_CHAT_PATH = "/inference/v1/chat/completions"


@dataclass(frozen=True)
class Root:
    """The two planes of one Fireworks server.

    Attributes:
        url: Scheme and host of the control plane, without a path or a trailing slash.
        chat_url: Full URL of chat completions.
        source: Where the choice came from, for people.
    """

    url: str
    chat_url: str
    source: str


def resolve_root(api_url: str | None = None, environ: Mapping[str, str] = os.environ) -> Root:
    """Choose the server: an explicit URL, then ``FIREWORKS_BASE_URL``, then the real one.

    The control plane is taken to be on the same scheme and host as the inference plane. A URL
    without a path (the form of ``FIREWORKS_BASE_URL``), or one that ends in ``/inference`` or
    ``/v1`` (the form of OpenAI clients), is completed to chat completions.

    Args:
        api_url: ``remote_params.api_url``, or None.
        environ: The environment.

    Raises:
        ConfigurationError: If it is not an http(s) URL, or is plain http to another machine.
    """
    if api_url:
        chosen, source = api_url, "remote_params.api_url"
    elif environ.get(BASE_URL_VARIABLE):
        chosen, source = environ[BASE_URL_VARIABLE], BASE_URL_VARIABLE
    else:
        chosen, source = DEFAULT_ROOT, "default"
    parts = require_secure(chosen, what=source)
    root = f"{parts.scheme}://{parts.netloc}"
    return Root(url=root, chat_url=root + _chat_path(parts.path.rstrip("/")), source=source)


def _chat_path(path: str) -> str:
    if path.endswith("/chat/completions"):
        return path
    if path.endswith("/v1"):
        return f"{path}/chat/completions"
    if path.endswith("/inference"):
        return f"{path}/v1/chat/completions"
    return path + _CHAT_PATH


def require_secure(url: str, *, what: str) -> SplitResult:
    """Split a URL that a secret may be sent to.

    Args:
        url: The URL.
        what: What to call it in an error.

    Raises:
        ConfigurationError: If it is not an http(s) URL with a host, or is plain http to a host
            that is not this machine.
    """
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
        _ = parts.port  # a port that is not a number raises here
    except ValueError as error:
        raise ConfigurationError(f"{what} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            f"{what} is not an http(s) URL: {url!r}. It should look like {DEFAULT_ROOT}"
        )
    if parts.username or parts.password:
        raise ConfigurationError(f"{what} carries a user name or password; leave them out.")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(
            f"{what} is plain http to {host}: a key would travel unencrypted. "
            f"Use https:// (http is allowed only to this machine, such as http://127.0.0.1)."
        )
    return parts


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
