"""The content of messages in a request."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import PIL.Image
import pytest
from oumi.core.configs import GenerationParams
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type
from oumi.utils.conversation_utils import create_list_of_message_json_dicts

from oumi_fireworks.conversion import RequestTemplate, check_conversation, prompt_of
from tests.conversion.support import body_of, content_of, image


class TestContent:
    def test_plain_text_is_what_oumi_itself_would_send(self) -> None:
        conversation = Conversation(
            messages=[
                Message(role=Role.SYSTEM, content="Be brief. \u2028 é \U0001f680"),
                Message(role=Role.USER, content=""),
                Message(role=Role.USER, content=[ContentItem(type=Type.TEXT, content="One")]),
                Message(
                    role=Role.USER,
                    content=[
                        ContentItem(type=Type.TEXT, content="One"),
                        ContentItem(type=Type.TEXT, content="Two"),
                    ],
                ),
                Message(role=Role.ASSISTANT, content="Three"),
            ]
        )
        assert body_of(conversation)["messages"] == create_list_of_message_json_dicts(
            conversation.messages, group_adjacent_same_role_turns=False
        )

    def test_a_lone_surrogate_goes_through(self) -> None:
        conversation = Conversation(
            messages=[Message(role=Role.USER, content="\ud83d")],
            tools=[{"function": {"name": "f", "description": "\ud83d"}}],  # type: ignore[list-item]
        )
        check_conversation(conversation, 0)
        body = RequestTemplate(GenerationParams()).body(prompt_of(conversation))
        assert body["messages"][0]["content"] == "\ud83d"

    def test_an_image_address_is_sent_as_it_is(self) -> None:
        for url in ("https://example.com/a.png", "data:image/jpeg;base64,AAAA"):
            assert content_of(
                ContentItem(type=Type.TEXT, content="What is this?"),
                ContentItem(type=Type.IMAGE_URL, content=url, binary=b""),
            ) == [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": url}},
            ]

    @pytest.mark.parametrize(
        ("kind", "mime"),
        [
            ("PNG", "image/png"),
            ("JPEG", "image/jpeg"),
            ("GIF", "image/gif"),
            ("BMP", "image/bmp"),
            ("TIFF", "image/tiff"),
            ("PPM", "image/x-portable-pixmap"),
        ],
    )
    def test_image_bytes_are_sent_with_their_own_type(
        self, kind: str, mime: str, tmp_path: Path
    ) -> None:
        data = image(kind)
        path = tmp_path / "image"
        path.write_bytes(data)
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        for item in (
            ContentItem(type=Type.IMAGE_BINARY, binary=data),
            ContentItem(type=Type.IMAGE_PATH, content=str(path)),
            ContentItem(type=Type.IMAGE_PATH, content=f"File://{path}"),
            ContentItem(type=Type.IMAGE_PATH, content="/not/there", binary=data),
            ContentItem(type=Type.IMAGE_URL, content="https://example.com", binary=data),
        ):
            assert content_of(item) == [{"type": "image_url", "image_url": {"url": url}}]

    def test_a_format_that_fireworks_does_not_read_is_sent_as_png(self) -> None:
        item = ContentItem(type=Type.IMAGE_BINARY, binary=image("WEBP"))
        head, _, data = content_of(item)[0]["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        assert PIL.Image.open(io.BytesIO(base64.b64decode(data))).format == "PNG"

    def test_what_is_no_image_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("no image")
        with pytest.raises(ValueError, match=r"notes\.txt' cannot be understood as an image"):
            content_of(ContentItem(type=Type.IMAGE_PATH, content=str(path)))
        with pytest.raises(ValueError, match=r"The bytes of an image cannot be understood"):
            content_of(ContentItem(type=Type.IMAGE_BINARY, binary=b"no image"))
        with pytest.raises(ValueError, match=r"cannot be read: No such file"):
            content_of(ContentItem(type=Type.IMAGE_PATH, content=str(tmp_path / "none.png")))
