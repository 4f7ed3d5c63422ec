"""Where a key may go."""

from __future__ import annotations

import pytest

from oumi_fireworks.api import resolve_root
from oumi_fireworks.api.connections import proxy_for
from oumi_fireworks.api.root import require_secure
from oumi_fireworks.errors import ConfigurationError


@pytest.mark.parametrize(
    ("given", "root", "chat"),
    [
        ("https://a.example", "https://a.example", "/inference/v1/chat/completions"),
        ("https://a.example/", "https://a.example", "/inference/v1/chat/completions"),
        ("https://a.example:8443/inference", "https://a.example:8443", None),
        ("https://a.example/inference/v1", "https://a.example", "/inference/v1/chat/completions"),
        ("https://a.example/v1/", "https://a.example", "/v1/chat/completions"),
        ("https://a.example/x/chat/completions", "https://a.example", "/x/chat/completions"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "/inference/v1/chat/completions"),
    ],
)
def test_both_planes_follow_from_one_url(given: str, root: str, chat: str | None) -> None:
    resolved = resolve_root(given, {})
    assert resolved.url == root
    assert resolved.chat_url == root + (chat or "/inference/v1/chat/completions")
    assert resolved.source == "remote_params.api_url"


def test_the_url_comes_from_the_option_then_the_environment_then_the_default() -> None:
    environ = {"FIREWORKS_BASE_URL": "https://env.example"}
    assert resolve_root("https://option.example", environ).url == "https://option.example"
    from_environment = resolve_root(None, environ)
    assert from_environment.url == "https://env.example"
    assert from_environment.source == "FIREWORKS_BASE_URL"
    default = resolve_root(None, {})
    assert default.url == "https://api.fireworks.ai"
    assert default.chat_url == "https://api.fireworks.ai/inference/v1/chat/completions"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.fireworks.ai",
        "https://10.0.0.1",
        "http://127.0.0.1:1",
        "http://127.8.9.10",
        "http://localhost:1",
        "http://LocalHost",
        "http://[::1]:8000",
    ],
)
def test_https_and_this_machine_may_have_a_key(url: str) -> None:
    require_secure(url, what="The URL")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://api.fireworks.ai", "plain http to api.fireworks.ai"),
        ("http://10.0.0.1:8000", "plain http to 10.0.0.1"),
        ("http://0.0.0.0", "plain http"),
        ("http://localhost.example", "plain http"),
        ("http://127.0.0.1.example", "plain http"),
        ("http://[2001:db8::1]", "plain http"),
        ("HTTP://api.fireworks.ai", "plain http"),
        ("ftp://localhost", "not an http"),
        ("api.fireworks.ai", "not an http"),
        ("https://", "not an http"),
        ("", "not an http"),
        ("https://host:port", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://user:secret@api.fireworks.ai", "user name or password"),
        ("http://localhost@api.fireworks.ai", "user name or password"),
    ],
)
def test_anywhere_else_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        require_secure(url, what="The URL")
    assert "The URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_url_that_is_refused_is_named_by_where_it_came_from() -> None:
    with pytest.raises(ConfigurationError, match="FIREWORKS_BASE_URL is plain http"):
        resolve_root(None, {"FIREWORKS_BASE_URL": "http://far.example"})


def test_a_proxy_is_used_for_others_and_never_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "direct.example")
    assert proxy_for("https://api.fireworks.ai/v1") == "http://proxy.example:3128"
    assert proxy_for("https://direct.example/v1") is None
    assert proxy_for("http://127.0.0.1:8000/v1") is None
    assert proxy_for("http://localhost:8000/v1") is None
    assert proxy_for("http://[::1]:8000/v1") is None
