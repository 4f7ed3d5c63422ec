"""Lines as conversations: what is taken, and what is said of the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oumi_fireworks.tables.json_lines import parse


def line(content: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content}]}).encode()


def test_content_parts_as_openai_writes_them_are_taken() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://a.org/b.png", "detail": "low"}},
        {"type": "image_url", "content": "https://a.org/c.png"},
    ]
    items = parse(line(parts)).messages[0].content
    assert isinstance(items, list)
    assert [(str(item.type), item.content) for item in items] == [
        ("text", "What is this?"),
        ("image_url", "https://a.org/b.png"),
        ("image_url", "https://a.org/c.png"),
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (line([{"type": "text"}]), "message 0, content.0: Either content or binary must be"),
        (line([{"type": "audio", "audio": "x"}]), "message 0, content.0.type: Input should be"),
        (line([{"type": "text", "text": 5}]), "message 0, content.0: Either content or binary"),
        (line(5), "message 0, content"),
        (b"[]", "not a JSON object"),
        (b"{}", "no messages"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        parse(raw)
