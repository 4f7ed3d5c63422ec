"""Chat completions on the wire: answers, refusals, limits, streams."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import httpx
import pytest

from oumi_fireworks.emulator import Emulator, Fault, Latency, Limits, OnlineCharge, RateLimit
from oumi_fireworks.emulator.faults.faults import FaultKind
from oumi_fireworks.emulator.work.traffic import Limiter
from tests.emulator.service import MODEL, Service, row

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error in an answer of the inference plane, which must have this status."""
    assert response.status_code == status
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "code", "param", "type"}
    return dict(body["error"])


def test_an_answer_has_the_service_s_form(service: Service) -> None:
    answer = service.chat("hello").json()
    assert answer.pop("id").startswith("chatcmpl-")
    assert answer.pop("created") > 1_700_000_000
    assert answer == {
        "object": "chat.completion",
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": f"This is the emulator's toy model in place of {MODEL}. "
                    "You wrote: hello",
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 25,
            "total_tokens": 28,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


@pytest.mark.parametrize("path", ["/inference/v1/chat/completions", "/v1/chat/completions"])
def test_both_paths_answer(service: Service, path: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    assert service.http.post(path, json=body).status_code == 200


@pytest.mark.parametrize("path", ["/v1/accounts", "/inference/v1/models", "/emulator/faults"])
def test_a_bad_key_is_refused_everywhere(emulator: Emulator, path: str) -> None:
    with httpx.Client(base_url=emulator.url, verify=False) as client:
        refused = client.get(path, headers={"Authorization": "Bearer wrong"})
        assert refused.json() == {
            "error": {
                "message": "The API key you provided is invalid.",
                "code": "UNAUTHORIZED",
                "param": None,
                "type": "error",
            }
        }
        assert refused.status_code == 403
        odd = client.get(path, headers={b"Authorization": b"Bearer \xff"})
        assert error_of(odd, 403)["code"] == "UNAUTHORIZED"
        assert error_of(client.get(path), 401)["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"stop_token_ids": [1]}, "Extra inputs are not permitted, field: 'stop_token_ids'"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"model": None}, "model is required"),
        ({"temperature": 9}, "invalid value for field 'temperature': 9"),
        ({"stream_options": {}}, "stream_options needs stream to be true"),
        ({"response_format": {"type": "grammar", "grammar": "x"}}, "knows no grammars"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"$ref": "#/nowhere"}}},
            "the toy model cannot do this",
        ),
        (
            {"response_format": {"type": "json_object", "schema": {"properties": [1]}}},
            "the toy model cannot do this",
        ),
    ],
)
def test_a_bad_request_is_explained(service: Service, body: dict[str, Any], message: str) -> None:
    assert message in error_of(service.chat(**body), 400)["message"]


def test_a_body_that_is_no_json_is_refused(service: Service) -> None:
    response = service.http.post("/v1/chat/completions", content=b"{")
    assert "not valid JSON" in error_of(response, 400)["message"]


@pytest.mark.parametrize(
    "model", ["gpt-4", "accounts/fireworks/models/does-not-exist", "fireworks/models/x"]
)
def test_an_unknown_model_is_not_found(service: Service, model: str) -> None:
    assert error_of(service.chat(model=model), 404)["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "model",
    [
        "accounts/fireworks/models/any-name-will-do",
        "accounts/fireworks/models/x#accounts/emulator/deployments/d1",
        "accounts/emulator/deployments/d1",
    ],
)
def test_any_well_formed_model_answers(service: Service, model: str) -> None:
    assert service.chat(model=model).json()["model"] == model


def test_a_list_of_models_is_a_limit() -> None:
    with Emulator(models=(MODEL,)) as emulator:
        service = Service(emulator)
        assert service.chat().status_code == 200
        assert service.chat(model="accounts/fireworks/models/other").status_code == 404
        service.close()


@pytest.mark.parametrize("status", [402, 412])
def test_an_account_can_be_refused(service: Service, status: int) -> None:
    service.emulator.refusal = status
    assert error_of(service.chat(), status)["message"].startswith("The account")
    service.emulator.refusal = None
    assert service.chat().status_code == 200


def test_no_other_refusal_exists(service: Service) -> None:
    with pytest.raises(ValueError, match="402 or 412"):
        service.emulator.refusal = 500


def test_prompts_can_ask_for_failures(service: Service) -> None:
    assert error_of(service.chat("[[fail]]"), 500)["code"] == "TOY_FAILURE"
    assert error_of(service.chat("[[fail 422]]"), 422)["code"] == "TOY_FAILURE"
    assert error_of(service.chat("[[fail 9999]]"), 500)["code"] == "TOY_FAILURE"
    assert [service.chat("[[flaky 2]]").status_code for _ in range(3)] == [503, 503, 200]


def test_answers_can_be_told_apart_and_are_on_the_ledger(service: Service) -> None:
    service.finished_job([row(0, "a [[nth]]")])
    service.emulator.faults.add(Fault("POST", "/chat/completions$", "lost_answer"))
    with pytest.raises(httpx.TransportError):
        service.chat("a [[nth]]")
    assert service.chat("b [[fail]]").status_code == 500
    answer = service.chat("a [[nth]]").json()
    assert answer["choices"][0]["message"]["content"] == "3: a [[nth]]"
    ledger, usage = service.emulator.ledger, answer["usage"]
    assert ledger.rows == 1
    assert ledger.online == OnlineCharge(
        2, 2 * usage["prompt_tokens"], 2 * usage["completion_tokens"]
    )


def test_a_rate_limit_refuses_what_is_above_it(service: Service) -> None:
    service.emulator.rate_limit = RateLimit(requests_per_minute=2, window=60)
    answers = [service.chat() for _ in range(4)]
    statuses = [answer.status_code for answer in answers]
    # A new window may begin in between.
    assert statuses.count(200) in (2, 3, 4)
    service.emulator.clock.advance(60)
    assert service.chat().status_code == 200


def test_what_the_limit_says_is_on_the_answers(service: Service) -> None:
    service.emulator.rate_limit = RateLimit(requests_per_minute=600, window=600)
    assert service.chat().headers["x-ratelimit-limit-requests"] == "600"
    service.emulator.rate_limit = None
    assert "x-ratelimit-limit-requests" not in service.chat().headers


def test_a_refusal_is_an_error_with_headers(service: Service) -> None:
    service.emulator.rate_limit = RateLimit(requests_per_minute=1e-9, window=1e9)
    service.chat()
    refused = service.chat()
    assert error_of(refused, 429)["code"] == "RATE_LIMIT_EXCEEDED"
    assert refused.headers["x-ratelimit-over-limit"] == "yes"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert int(refused.headers["Retry-After"]) > 0


def test_a_limiter_counts_by_windows() -> None:
    limiter, limit = Limiter(), RateLimit(requests_per_minute=600, window=1.0)
    allowed = [limiter.admit(limit, 100.0 + number / 100).allowed for number in range(300)]
    assert [sum(allowed[at : at + 100]) for at in (0, 100, 200)] == [10, 10, 10]
    assert allowed[:10] == [True] * 10


def test_a_limiter_s_headers_speak_of_a_minute() -> None:
    limiter, limit = Limiter(), RateLimit(requests_per_minute=600, window=1.0)
    verdict = limiter.admit(limit, 100.0)
    assert verdict.headers == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "540",
    }


def test_a_limiter_warns_softly_first() -> None:
    limiter = Limiter()
    limit = RateLimit(600, soft_requests_per_minute=300, retry_after=False)
    verdicts = [limiter.admit(limit, 100.0) for _ in range(12)]
    over = ["x-ratelimit-over-limit" in verdict.headers for verdict in verdicts]
    assert over == [False] * 5 + [True] * 7
    assert [verdict.allowed for verdict in verdicts] == [True] * 10 + [False] * 2
    assert "Retry-After" not in verdicts[-1].headers


def test_a_limit_may_change_at_any_time() -> None:
    limiter = Limiter()
    assert sum(limiter.admit(RateLimit(600), 100.0).allowed for _ in range(20)) == 10
    assert sum(limiter.admit(RateLimit(1200), 100.5).allowed for _ in range(20)) == 10
    assert sum(limiter.admit(RateLimit(1200), 101.0).allowed for _ in range(40)) == 20


@pytest.mark.parametrize(
    "limit", [{"requests_per_minute": 0}, {"requests_per_minute": 1, "window": 0}]
)
def test_a_limit_must_make_sense(limit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="positive"):
        RateLimit(**limit)


def test_latencies_are_log_normal() -> None:
    rng, latency = random.Random(1), Latency(median=2.0, sigma=0.5)
    drawn = sorted(latency.draw(rng) for _ in range(2001))
    assert drawn[1000] == pytest.approx(2.0, rel=0.1)
    assert drawn[1682] == pytest.approx(2.0 * 2.718**0.5, rel=0.1)
    assert Latency(median=2.0).draw(rng) == 2.0


def test_latency_delays_answers(service: Service) -> None:
    service.emulator.latency = Latency(median=0.05)
    assert service.chat().elapsed.total_seconds() >= 0.05
    service.emulator.latency = None
    assert service.chat("[[slow 0.05]]").elapsed.total_seconds() >= 0.05


def events_of(response: httpx.Response) -> list[Any]:
    """The events of a stream; the last is the mark of its end."""
    assert response.headers["Content-Type"] == "text/event-stream"
    lines = [line for line in response.text.split("\n\n") if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_a_stream_adds_up_to_the_answer(service: Service) -> None:
    whole = service.chat("hello", n=2, reasoning_effort="low").json()
    events = events_of(service.chat("hello", n=2, reasoning_effort="low", stream=True))
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    assert {event["id"] for event in events} == {whole["id"]}
    for choice in whole["choices"]:
        parts = [e["choices"][0] for e in events if e["choices"][0]["index"] == choice["index"]]
        for field in ("content", "reasoning_content"):
            told = "".join(part["delta"].get(field, "") for part in parts)
            assert told == choice["message"][field]
        assert parts[0]["delta"] == {"role": "assistant"}
        assert parts[-1]["finish_reason"] == "stop"
        assert all(part["finish_reason"] is None for part in parts[:-1])


def test_a_stream_ends_with_its_usage(service: Service) -> None:
    whole = service.chat(n=2).json()
    for options in (None, {"include_usage": True}):
        *before, last = events_of(service.chat(n=2, stream=True, stream_options=options))
        assert last["choices"][0]["finish_reason"] == "stop"
        assert last["usage"] == whole["usage"]
        assert not any("usage" in event for event in before)


def test_some_models_tell_the_usage_of_a_stream_only_when_asked(service: Service) -> None:
    model = "accounts/fireworks/models/toy-usage-on-request"
    assert "usage" not in events_of(service.chat(model=model, stream=True))[-1]
    asked = service.chat(model=model, stream=True, stream_options={"include_usage": True})
    assert events_of(asked)[-1]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_long_answer_has_to_be_streamed(service: Service, name: str) -> None:
    def ask(most: int, **body: Any) -> httpx.Response:
        return service.chat(**{name: most, **body})

    refused = ask(4097)
    assert refused.status_code == 400
    assert refused.json() == {
        "error": {
            "message": f"Requests with {name} > 4096 must have stream=true",
            "param": name,
            "code": "BAD_REQUEST",
        }
    }
    assert ask(4096).status_code == 200
    assert ask(4097, stream=True).status_code == 200


def test_an_answer_without_a_bound_ends_at_2048_tokens(service: Service) -> None:
    choice = service.chat("[[words 5000]]").json()
    assert choice["choices"][0]["finish_reason"] == "length"
    assert choice["usage"]["completion_tokens"] == 2048


def test_answers_say_what_their_prompt_cost(service: Service) -> None:
    messages = [{"role": "system", "content": "x" * 40}, {"role": "user", "content": "hi"}]
    for stream in (False, True):
        answer = service.chat(messages=messages, stream=stream)
        assert answer.headers["fireworks-prompt-tokens"] == "13"
        assert answer.headers["fireworks-cached-prompt-tokens"] == "11"


def test_a_prompt_may_be_token_ids(service: Service) -> None:
    body = {"model": MODEL, "prompt_token_ids": [5, 6, 7]}
    answer = service.http.post("/inference/v1/chat/completions", json=body).json()
    assert answer["usage"]["prompt_tokens"] == 3
    both = service.chat(prompt_token_ids=[1])
    assert "cannot be specified together" in error_of(both, 400)["message"]


@pytest.mark.parametrize("effort", ["low", "xhigh", "max", "adaptive", 512, True])
def test_every_effort_lets_it_think(service: Service, effort: str | int) -> None:
    message = service.chat(reasoning_effort=effort).json()["choices"][0]["message"]
    assert message["reasoning_content"]


def test_guided_fields_are_obeyed(service: Service) -> None:
    assert service.said(guided_choice=["yes", "no"]) in ("yes", "no")
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    wanted = '{"a":1}'
    assert service.said(guided_json=schema) == wanted
    form = {"type": "json_schema", "json_schema": json.dumps({"schema": schema})}
    assert service.said(response_format=form) == wanted
    assert "no grammars" in error_of(service.chat(guided_grammar="x"), 400)["message"]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("scaling_up", 503, "DEPLOYMENT_SCALING_UP"),
        ("overloaded", 503, "SERVICE_OVERLOADED"),
        ("swapping", 425, "TOO_EARLY"),
    ],
)
def test_a_model_can_be_unavailable_in_the_service_s_ways(
    service: Service, kind: FaultKind, status: int, code: str
) -> None:
    service.emulator.faults.add(Fault("POST", "completions$", kind))
    assert error_of(service.chat(), status)["code"] == code
    assert service.chat().status_code == 200


LIMITED = {
    "object": "error",
    "type": "invalid_request_error",
    "code": "invalid_request_error",
    "message": "rate limit exceeded, please try again later",
}


def test_the_service_s_limits_are_told_and_enforced(service: Service) -> None:
    service.emulator.limits = Limits(start=0.001, floor=0.001)
    first = service.chat("[[words 1000]]", max_tokens=1000)
    assert first.headers["x-ratelimit-limit-tokens-generated"] == "648"
    assert first.headers["x-ratelimit-remaining-tokens-generated"] == "0"
    assert first.headers["x-ratelimit-limit-tokens-prompt"] == "64800"
    assert first.headers["x-ratelimit-remaining-tokens-cache-adjusted-prompt"] == "16195"
    refused = service.chat()
    assert (refused.status_code, refused.json()) == (429, LIMITED)
    assert refused.headers["x-ratelimit-over-limit"] == "no"
    assert refused.headers["x-ratelimit-remaining-tokens-generated"] == "0"
    assert "Retry-After" not in refused.headers
    assert service.chat(model="accounts/fireworks/models/other").status_code == 200
    service.emulator.clock.advance(60)
    assert service.chat().status_code == 200


def test_the_account_s_requests_are_limited_without_a_word(service: Service) -> None:
    service.emulator.limits = Limits(requests_per_minute=2, tokens=False)
    answers = [service.chat() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert not [name for answer in answers for name in answer.headers if "limit-requests" in name]
    service.emulator.clock.advance(60)
    assert service.chat().status_code == 200


def test_a_suspended_account_is_refused_and_says_why(service: Service) -> None:
    service.emulator.suspend_state = "CREDIT_DEPLETED"
    assert error_of(service.chat(), 412)["code"] == "PRECONDITION_FAILED"
    assert service.http.get("/v1/accounts").status_code == 412
    assert service.get("").json()["suspendState"] == "CREDIT_DEPLETED"
    service.http.put("/emulator/refusal", json={}).raise_for_status()
    assert service.chat().status_code == 200
    with pytest.raises(ValueError, match="use one of"):
        service.emulator.suspend_state = "TIRED"


def test_a_stream_tells_of_tool_calls(service: Service) -> None:
    whole = service.chat(tools=[TOOL]).json()["choices"][0]
    events = events_of(service.chat(tools=[TOOL], stream=True))
    (call,) = [c for e in events for c in e["choices"][0]["delta"].get("tool_calls", ())]
    assert call == {"index": 0, **whole["message"]["tool_calls"][0]}
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_answers_are_the_same_every_time(service: Service) -> None:
    one, two = service.chat("x", n=3).json(), service.chat("x", n=3).json()
    assert one["choices"] == two["choices"]
    assert one["id"] == two["id"]
    assert service.chat("y").json()["id"] != one["id"]
    texts = [choice["message"]["content"] for choice in one["choices"]]
    assert all(a != b for a, b in pairwise(texts))


def test_a_bad_answer_comes_first_and_a_good_one_later(service: Service) -> None:
    def ask(prompt: str) -> str:
        return str(service.chat(prompt).json()["choices"][0]["message"]["content"])

    bad = "This is not what was asked for."
    assert [ask("[[bad 2]][[reply yes]]") for _ in range(3)] == [bad, bad, "yes"]
    assert ask("[[bad 1 no way]]?") == "no way"
    assert ask("[[reply yes]]") == "yes"
