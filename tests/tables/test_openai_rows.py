"""Requests as OpenAI's Batch API takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from oumi.core.types.conversation import Conversation, Message, Role

from oumi_fireworks.conversion import RequestTemplate, prompt_of
from oumi_fireworks.engine.config_fields import GenerationParams
from oumi_fireworks.errors import OptionError
from tests.tables.table_support import opened

BODY = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
    "max_tokens": 5,
    "temperature": None,
}


def line(body: Any = BODY, **fields: Any) -> dict[str, Any]:
    url = "/v1/chat/completions"
    return {"custom_id": "x", "method": "POST", "url": url, "body": body, **fields}


def test_a_request_is_a_conversation_with_parameters_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps(line()) + "\n")
    (row,) = opened(file).rows()
    conversation = row.conversation()
    assert conversation.conversation_id == "x"
    content = conversation.messages[0].content
    assert isinstance(content, list)
    assert [each.content for each in content] == ["a"]
    assert row.parameters() == {"max_tokens": 5}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(url="/v1/embeddings"), "it is a request to /v1/embeddings"),
        (line(body={}), "it has no body with messages"),
        ({"custom_id": "y", "body": {"messages": "no"}}, "messages"),
    ],
)
def test_what_is_no_chat_completion_is_a_bad_row(tmp_path: Path, bad: Any, reason: str) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps(bad) + "\n")
    (row,) = opened(file, format="openai").rows()
    with pytest.raises(ValueError, match=reason):
        row.conversation()


def test_parameters_of_a_row_win_and_are_checked() -> None:
    template = RequestTemplate(GenerationParams(max_new_tokens=7, temperature=0.5))
    asked = Conversation(messages=[Message(role=Role.USER, content="a")])
    body = template.body(prompt_of(asked), {"max_completion_tokens": 9, "top_k": 3, "odd": 1})
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    assert "odd" not in body
    assert (body["top_k"], body["temperature"]) == (3, 0.5)
    with pytest.raises(OptionError, match="top_k"):
        template.body(prompt_of(asked), {"top_k": "many"})


def test_what_is_nested_too_deeply_is_a_bad_row(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    deep = "[" * 1000 + "]" * 1000
    plain = f'{{"messages":[{{"role":"user","content":"a","note":{deep}}}]}}'
    request = f'{{"custom_id":"x","url":"/v1/chat/completions","body":{plain}}}'
    for written, said in ((plain, "recursion limit exceeded"), (request, "nested too deeply")):
        file.write_text(written + "\n")
        (row,) = opened(file).rows()
        with pytest.raises(ValueError, match=said):
            row.prompt()
