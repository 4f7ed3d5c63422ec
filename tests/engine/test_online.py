"""Online inference through the engine, over HTTP against the emulator."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import (
    GenerationParams,
    InferenceConfig,
    InferenceEngineType,
    ModelParams,
    RemoteParams,
)
from oumi.core.configs.params.guided_decoding_params import GuidedDecodingParams
from oumi.core.inference.base_inference_engine import InferenceErrorType
from oumi.core.types.conversation import ContentItem, Conversation, Message, Role, Type
from oumi.core.types.tool_call import ToolDefinition
from oumi.infer import infer, infer_interactive
from PIL import Image

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.emulator import Emulator, Fault, RateLimit
from oumi_fireworks.errors import (
    AuthenticationError,
    FireworksError,
    PaymentRequiredError,
    SuspendedError,
)
from tests.engine.conftest import MODEL, EngineFactory, ask, interrupted, questions

CHAT = "/inference/v1/chat/completions$"

WEATHER = ToolDefinition.model_validate(
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tell the weather.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
)


def sent(emulator: Emulator) -> dict[str, Any]:
    """The body of the one chat completion that was asked for."""
    (request,) = emulator.requests_to("POST", CHAT)
    assert request.status == 200, request
    assert isinstance(request.body, dict)
    return request.body


def answer(conversation: Conversation) -> str:
    return str(conversation.messages[-1].content)


def config(tmp_path: Path | None = None, **fields: Any) -> InferenceConfig:
    if tmp_path:
        fields["output_path"] = str(tmp_path / "out.jsonl")
    return InferenceConfig(model=ModelParams(model_name=MODEL), **fields)


def test_a_question_is_answered(engine: FireworksInferenceEngine) -> None:
    (conversation,) = engine.infer([ask("What is two?", conversation_id="c", metadata={"k": 1})])
    assert [message.role for message in conversation.messages] == [Role.USER, Role.ASSISTANT]
    assert "What is two?" in answer(conversation)
    assert conversation.conversation_id == "c"
    assert conversation.metadata["k"] == 1
    assert conversation.metadata["finish_reason"] == "stop"
    usage = conversation.metadata["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


def test_only_what_is_set_is_sent(engine: FireworksInferenceEngine, at_emulator: Emulator) -> None:
    engine.infer([ask("hi")])
    assert sent(at_emulator) == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 1024,
        "temperature": 0.0,
    }


def test_every_generation_parameter_that_fireworks_has(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    generation = GenerationParams(
        max_new_tokens=7,
        seed=3,
        temperature=0.5,
        top_p=0.9,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        stop_strings=["\n"],
        logit_bias={5: 1.5},
        min_p=0.05,
    )
    engine.infer([ask("hi")], config(generation=generation))
    body = sent(at_emulator)
    del body["model"], body["messages"]
    assert body == {
        "max_tokens": 7,
        "seed": 3,
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "stop": ["\n"],
        "logit_bias": {"5": 1.5},
        "min_p": 0.05,
    }


def test_a_parameter_that_fireworks_lacks_is_warned_of_and_not_sent(
    engine: FireworksInferenceEngine, at_emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    engine.infer([ask("hi")], config(generation=GenerationParams(stop_token_ids=[1, 2])))
    assert "stop_token_ids" not in sent(at_emulator)
    assert "does not support stop_token_ids" in caplog.text


def test_extra_body_reaches_the_rest(make_engine: EngineFactory, at_emulator: Emulator) -> None:
    make_engine(extra_body={"top_k": 40, "reasoning_effort": "high"}).infer([ask("Why?")])
    body = sent(at_emulator)
    assert body["top_k"] == 40
    assert body["reasoning_effort"] == "high"


def test_reasoning_comes_back(make_engine: EngineFactory) -> None:
    (conversation,) = make_engine(extra_body={"reasoning_effort": "high"}).infer([ask("Why?")])
    assert conversation.messages[-1].reasoning_content


def test_the_answer_is_cut_at_max_new_tokens(engine: FireworksInferenceEngine) -> None:
    generation = GenerationParams(max_new_tokens=2)
    (conversation,) = engine.infer([ask("Tell me a story.")], config(generation=generation))
    assert conversation.metadata["finish_reason"] == "length"
    assert conversation.metadata["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    "options", [{}, {"mode": "batch", "batch_min_rows": 10}], ids=["online", "few rows of a batch"]
)
def test_answers_that_may_be_long_are_streamed_and_come_back_whole(
    make_engine: EngineFactory, at_emulator: Emulator, options: dict[str, Any]
) -> None:
    long = config(generation=GenerationParams(max_new_tokens=8192))
    texts = ["[[echo]] streamed ä€𝄞", "[[reason]] [[echo]] with reasoning"]
    answers = make_engine(**options).infer([ask(text) for text in texts], long)
    plain = make_engine(stream="never").infer([ask(text) for text in texts])
    assert [answer(each) for each in answers] == [answer(each) for each in plain]
    bodies = [each.body or {} for each in at_emulator.requests_to("POST", "chat/completions")]
    assert [bool(body.get("stream")) for body in bodies] == [True, True, False, False]


def test_guided_decoding_gives_an_answer_of_the_schema(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    generation = GenerationParams(guided_decoding=GuidedDecodingParams(json=schema))
    (conversation,) = engine.infer([ask("Who?")], config(generation=generation))
    assert sent(at_emulator)["response_format"]["type"] == "json_schema"
    person = json.loads(answer(conversation))
    assert isinstance(person["name"], str)
    assert isinstance(person["age"], int)


def test_a_tool_is_called_and_its_result_sent_back(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    question = Conversation(
        messages=[Message(role=Role.USER, content="Weather in Paris?")], tools=[WEATHER]
    )
    generation = GenerationParams(tool_choice="required")
    (called,) = engine.infer([question], config(generation=generation))
    (call,) = called.messages[-1].tool_calls or []
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    assert called.metadata["finish_reason"] == "tool_calls"
    result = Message(role=Role.TOOL, content="Sunny.", tool_call_id=call.id)
    again = Conversation(messages=[*called.messages, result], tools=[WEATHER])
    (told,) = engine.infer([again])
    assert told.messages[-1].content
    last = at_emulator.requests_to("POST", CHAT)[-1].body["messages"]
    assert last[1]["tool_calls"][0]["id"] == call.id
    assert last[2] == {"role": "tool", "content": "Sunny.", "tool_call_id": call.id}


def test_images_by_url_and_by_content(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (2, 2)).save(picture, "PNG")
    url = "https://example.com/cat.png"
    content = [
        ContentItem(type=Type.TEXT, content="What is this?"),
        ContentItem(type=Type.IMAGE_URL, content=url),
        ContentItem(type=Type.IMAGE_BINARY, binary=picture.getvalue()),
    ]
    engine.infer([Conversation(messages=[Message(role=Role.USER, content=content)])])
    text, by_url, by_content = sent(at_emulator)["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert by_url["image_url"]["url"] == url
    head, _, data = by_content["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == picture.getvalue()


def test_the_order_is_kept(engine: FireworksInferenceEngine) -> None:
    for index, conversation in enumerate(engine.infer(questions(300))):
        assert f"number {index}?" in answer(conversation)


def test_infer_writes_the_output_and_takes_the_scratch_file_away(
    engine: FireworksInferenceEngine, tmp_path: Path
) -> None:
    engine.infer(questions(3), config(tmp_path))
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["messages"][0]["content"] for line in lines] == [
        f"What is number {index}?" for index in range(3)
    ]
    assert not list((tmp_path / "scratch").iterdir())


def test_what_is_finished_when_a_row_fails_is_not_asked_for_again(
    make_engine: EngineFactory, at_emulator: Emulator, tmp_path: Path
) -> None:
    engine = make_engine(remote=RemoteParams(num_workers=1, max_retries=0))
    conversations = questions(6)
    at_emulator.faults.add(Fault(path=CHAT, status=503, after=5, body={"message": "bad luck"}))
    with pytest.raises(FireworksError, match="bad luck"):
        engine.infer(conversations, config(tmp_path))
    (scratch,) = (tmp_path / "scratch").iterdir()
    finished = len(scratch.read_text().splitlines())
    assert 0 < finished < 6
    before = len(at_emulator.requests_to("POST", CHAT))
    scratch.write_text(scratch.read_text() + '{"conversation_id": "torn')
    assert len(engine.infer(conversations[:6], config(tmp_path))) == 6
    assert len(at_emulator.requests_to("POST", CHAT)) - before == 6 - finished


@pytest.mark.parametrize("has_output", [True, False])
def test_interrupted_it_says_what_is_kept(
    make_engine: EngineFactory,
    at_emulator: Emulator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    has_output: bool,
) -> None:
    engine = make_engine(remote=RemoteParams(num_workers=2))
    settings = config(tmp_path if has_output else None)
    stall = Fault(path=CHAT, kind="stall", after=3, times=2)
    at_emulator.faults.add(stall)
    with interrupted() as press:

        def press_when_stalled() -> None:
            while at_emulator.faults.fired(stall) < 2:
                threading.Event().wait(0.005)
            press("both workers wait")

        threading.Thread(target=press_when_stalled).start()
        engine.infer(questions(5), settings)
    assert "Interrupted with 3 of 5 rows answered." in caplog.text
    assert ("They are kept: run the same again" in caplog.text) == has_output
    assert ("none of them is kept" in caplog.text) == (not has_output)
    at_emulator.faults.clear()
    before = len(at_emulator.requests_to("POST", CHAT))
    assert len(engine.infer(questions(5), settings)) == 5
    assert len(at_emulator.requests_to("POST", CHAT)) - before == (2 if has_output else 5)


def test_infer_partial_returns_failures_with_their_reasons(
    make_engine: EngineFactory, at_emulator: Emulator, tmp_path: Path
) -> None:
    engine = make_engine(remote=RemoteParams(max_retries=1, retry_backoff_base=0.01))
    at_emulator.faults.add(Fault(path=CHAT, status=400, body={"message": "bad row"}))
    conversations = [*questions(4), Conversation(messages=[])]
    progress = tmp_path / "progress.json"
    result = engine.infer_partial(conversations, progress_path=str(progress))
    assert len(result.successful) == 3
    (refused, empty) = sorted(result.failures.items())
    assert "bad row" in refused[1].error_message
    assert refused[1].status_code == 400
    assert not refused[1].is_retryable
    assert refused[1].error_type is InferenceErrorType.API_STATUS
    assert empty[0] == 4
    assert empty[1].error_type is InferenceErrorType.CONFIG
    told = json.loads(progress.read_text())
    assert (told["total"], told["completed"], told["failed"]) == (5, 3, 2)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthenticationError),
        (402, PaymentRequiredError),
        (403, AuthenticationError),
        (412, SuspendedError),
    ],
)
def test_what_concerns_the_account_stops_everything_at_once(
    engine: FireworksInferenceEngine,
    at_emulator: Emulator,
    status: int,
    error: type[FireworksError],
) -> None:
    at_emulator.faults.add(
        Fault(path=CHAT, status=status, times=None, body={"error": {"message": "not today"}})
    )
    with pytest.raises(error, match="not today"):
        engine.infer(questions(500))
    assert len(at_emulator.requests_to("POST", CHAT)) < 500
    result = engine.infer_partial(questions(50))
    assert result.failed_indices == list(range(50))
    assert {detail.status_code for detail in result.failures.values()} == {status}


def test_refusals_cost_no_row(engine: FireworksInferenceEngine, at_emulator: Emulator) -> None:
    at_emulator.rate_limit = RateLimit(requests_per_minute=6000, window=0.2)
    assert len(engine.infer(questions(120))) == 120


def test_the_end_says_what_came_of_it(
    engine: FireworksInferenceEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="oumi_fireworks")
    answered = engine.infer(questions(3))
    usages = [each.metadata["usage"] for each in answered]
    tokens = [sum(usage[field] for usage in usages)
              for field in ("prompt_tokens", "completion_tokens")]  # fmt: skip
    assert "3 rows answered in " in caplog.text
    assert f"{tokens[0]} input tokens, {tokens[1]} output tokens" in caplog.text


def test_a_further_call_opens_no_connection(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    engine.infer([ask("one")])
    opened = at_emulator.connections
    engine.infer([ask("two")])
    engine.infer_partial([ask("three")])
    assert at_emulator.connections == opened


def test_an_interactive_session_keeps_its_connection(
    at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = iter(["first prompt", "second prompt"])

    def typed(_: str) -> str:
        try:
            return next(prompts)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", typed)
    infer_interactive(config(engine=InferenceEngineType.FIREWORKS))
    shown = capsys.readouterr().out
    assert "You wrote: first prompt" in shown
    assert "You wrote: second prompt" in shown
    assert at_emulator.connections == 1


def test_the_plugin_puts_our_engine_under_the_name(at_emulator: Emulator) -> None:
    from oumi.builders.inference_engines import build_inference_engine

    engine = build_inference_engine(InferenceEngineType.FIREWORKS, ModelParams(model_name=MODEL))
    assert type(engine) is FireworksInferenceEngine


def test_oumi_infer_reads_and_writes_files(at_emulator: Emulator, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(each.to_json() + "\n" for each in questions(2)))
    answered = infer(config(tmp_path, input_path=str(source), engine=InferenceEngineType.FIREWORKS))
    assert all(f"number {index}?" in answer(each) for index, each in enumerate(answered))


@pytest.mark.parametrize(
    "way",
    [
        lambda engine, path: engine.infer_online(questions(2)),
        lambda engine, path: engine.infer_from_file(str(path)),
    ],
    ids=["infer_online", "infer_from_file"],
)
def test_the_deprecated_ways(
    engine: FireworksInferenceEngine,
    tmp_path: Path,
    way: Callable[[FireworksInferenceEngine, Path], list[Conversation]],
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(each.to_json() + "\n" for each in questions(2)))
    with pytest.warns(DeprecationWarning, match="Use infer"):
        answered = way(engine, path)
    assert all(f"number {index}?" in answer(each) for index, each in enumerate(answered))


def test_inside_a_running_loop(engine: FireworksInferenceEngine) -> None:
    async def notebook() -> int:
        return len(engine.infer(questions(3))) + len(engine.infer_partial(questions(2)).successful)

    assert asyncio.run(notebook()) == 5


def _infer_in_child(engine: FireworksInferenceEngine, results: Any) -> None:
    results.put(len(engine.infer(questions(2))))


def test_after_a_fork_the_child_has_connections_of_its_own(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    engine.infer([ask("in the parent")])
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_infer_in_child, args=(engine, results))
    child.start()
    assert results.get() == 2
    child.join()
    opened = at_emulator.connections
    engine.infer([ask("in the parent again")])
    assert at_emulator.connections == opened


def test_remote_parameters_of_a_call_win(
    engine: FireworksInferenceEngine, at_emulator: Emulator
) -> None:
    remote = RemoteParams(api_url=at_emulator.url, api_key="fw_wrong")
    with pytest.raises(AuthenticationError):
        engine.infer([ask("hi")], config(remote_params=remote))
    assert len(engine.infer([ask("hi")])) == 1
