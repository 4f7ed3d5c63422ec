"""What is refused before it is sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import GenerationParams
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type

from oumi_fireworks.api.request_json import encode_request
from oumi_fireworks.conversion import (
    Cautions,
    RequestTemplate,
    caution,
    check_conversation,
    prompt_of,
)
from tests.conversion.support import HELLO, TOOL_TALK, image


class TestCheck:
    @pytest.mark.parametrize(
        "conversation",
        [
            HELLO,
            TOOL_TALK,
            Conversation(messages=[Message(role=Role.ASSISTANT, content="To be continued")]),
            Conversation(messages=[Message(role=Role.USER, content="")]),
        ],
    )
    def test_what_fireworks_takes_passes(self, conversation: Conversation) -> None:
        check_conversation(conversation, 0)

    @pytest.mark.parametrize(
        ("messages", "expected"),
        [
            ([], "Conversation 7 has no messages"),
            (
                [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}],
                "Conversation 7, message 1: a tool's answer needs the tool_call_id",
            ),
            ([{"role": "user", "content": []}], "message 0: its content is an empty list"),
            (
                [
                    {
                        "role": "user",
                        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
                    }
                ],
                "message 0: only an assistant may have no content",
            ),
            (
                [
                    {
                        "role": "user",
                        "content": [{"type": "image_path", "content": "/not/there.png"}],
                    }
                ],
                "message 0: there is no image file '/not/there.png'",
            ),
        ],
    )
    def test_what_fireworks_refuses_is_named(
        self, messages: list[dict[str, Any]], expected: str
    ) -> None:
        conversation = Conversation.from_dict({"messages": messages})
        with pytest.raises(ValueError, match=expected):
            check_conversation(conversation, 7)

    def test_the_conversations_own_id_is_named_too(self) -> None:
        conversation = Conversation(conversation_id="abc", messages=[])
        with pytest.raises(ValueError, match=r"Conversation 7 \(id 'abc'\) has no messages"):
            check_conversation(conversation, 7)

    def test_an_image_whose_bytes_are_loaded_needs_no_file(self) -> None:
        item = ContentItem(type=Type.IMAGE_PATH, content="/not/there", binary=image("PNG"))
        check_conversation(Conversation(messages=[Message(role=Role.USER, content=[item])]), 0)


def with_image(kind: str, content: str, **fields: Any) -> Conversation:
    items = [{"type": kind, "content": content}]
    return Conversation.from_dict({"messages": [{"role": "user", "content": items}], **fields})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("pictures/a.png", "not from 'pictures/a.png'; for a file, use type image_path"),
        ("/pictures/a.png", "not from '/pictures/a.png'"),
        ("ftp://example.org/a.png", "not from 'ftp://example.org/a.png'"),
        ("file:///a.png", "not from 'file:///a.png'"),
        ("s3://bucket/a.png", "not from 's3://bucket/a.png'"),
        ("C:\\a.png", "for a file, use type image_path"),
        ("https:///a.png", "http and https addresses"),
        ("http://[a.png", "is no address of an image"),
        ("https://example.org/A.SVG?x=1", "Fireworks reads no SVG"),
    ],
)
def test_an_address_that_fireworks_cannot_fetch_is_refused(address: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        check_conversation(with_image("image_url", address))
    assert str(caught.value).startswith("message 0: ")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("data:image/svg+xml,<svg/>", r"cannot be understood as an image\. Fireworks reads"),
        ("data:image/webp;base64,AAAA", "cannot be understood as an image"),
        ("data:image/webp;base64,!", "is not base64"),
    ],
)
def test_data_that_are_no_image_that_fireworks_reads_are_refused(
    address: str, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        RequestTemplate(GenerationParams()).body(prompt_of(with_image("image_url", address)))


def test_more_images_than_fireworks_takes_are_refused(tmp_path: Path) -> None:
    item = {"type": "image_url", "content": "https://example.org/a.png"}
    messages = [{"role": "user", "content": [item] * 16}] * 2
    many = Conversation.from_dict({"messages": messages})
    with pytest.raises(ValueError, match="it has 32 images, and Fireworks takes 30"):
        RequestTemplate(GenerationParams()).body(prompt_of(many))
    large = tmp_path / "large.png"
    large.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(7_600_000))
    with pytest.raises(ValueError, match=r"its images are 10\.1 MB in base64"):
        RequestTemplate(GenerationParams()).body(prompt_of(with_image("image_path", str(large))))


def test_paths_of_images_are_read_as_a_shell_and_a_browser_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for path in (
        "~/a b.png",
        f"file://{tmp_path}/a%20b.png",
        f"file://localhost{tmp_path}/a%20b.png",
    ):
        conversation = with_image("image_path", path)
        check_conversation(conversation)
        body = RequestTemplate(GenerationParams()).body(prompt_of(conversation))
        assert body["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png")


def test_a_tool_that_is_to_be_called_must_be_there() -> None:
    choice: Any = {"type": "function", "function": {"name": "g"}}
    template = RequestTemplate(GenerationParams(tool_choice=choice))
    tools = [{"type": "function", "function": {"name": "f"}}]
    with pytest.raises(ValueError, match="names the tool 'g', and the tools are f"):
        template.body(prompt_of(with_image("image_url", "https://example.org/a.png", tools=tools)))
    # No tools, no choice.
    template.body(prompt_of(with_image("image_url", "https://example.org/a.png")))


def test_a_number_in_a_tool_that_json_does_not_have_is_refused_and_a_large_one_is_sent() -> None:
    def tool(maximum: float) -> list[dict[str, Any]]:
        schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": maximum}}}
        return [{"type": "function", "function": {"name": "f", "parameters": schema}}]

    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"tools\.parameters\.properties\.n\.maximum is"):
            check_conversation(with_image("image_url", "https://e.org/a.png", tools=tool(number)))
    large = with_image("image_url", "https://example.org/a.png", tools=tool(2**70))
    check_conversation(large)
    body = json.loads(encode_request(RequestTemplate(GenerationParams()).body(prompt_of(large))))
    parameters = body["tools"][0]["function"]["parameters"]
    assert parameters["properties"]["n"]["maximum"] == 2**70


def test_a_conversation_that_ends_with_an_answer_is_worth_a_word() -> None:
    asked = [{"role": "user", "content": "hi"}]
    assert caution(Conversation.from_dict({"messages": asked})) is None
    said = caution(
        Conversation.from_dict({"messages": [*asked, {"role": "assistant", "content": ""}]})
    )
    assert said is not None
    cautions = Cautions()
    for line in range(1, 6):
        cautions.add(said, f"in.jsonl:{line}")
    assert cautions.lines() == [f"in.jsonl:1, in.jsonl:2, in.jsonl:3 and 2 more: {said}."]
