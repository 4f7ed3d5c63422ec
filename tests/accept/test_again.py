"""Asking again: never with the same parameters, and only as often as something differs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.accept.again import Again
from oumi_fireworks.accept.rules import read_on_reject
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.errors import OptionError
from tests.accept.support import calling, completion

WRONG = Rejection("no JSON", "The answer is no JSON: it begins: Sure.", 2)
QUESTION = {"role": "user", "content": "How many?"}


def again(option: Any, **fields: Any) -> Again:
    policy = read_on_reject(option)
    assert policy is not None
    return Again(policy, fields)


def requests(
    option: Any, answer: dict[str, Any] | None = None, **fields: Any
) -> list[dict[str, Any]]:
    """All further requests of a row whose every answer is rejected."""
    body, policy = {"messages": [QUESTION], **fields}, again(option, **fields)
    found, times = [], 1
    while (one := policy.request(body, answer or completion("Sure"), WRONG, times)) is not None:
        found.append(one)
        times += 1
    assert len(found) == policy.most
    return found


@pytest.mark.parametrize(
    ("option", "fields", "changes"),
    [
        ({"max_new_tokens": "x2", "attempts": 2}, {"max_tokens": 100},
         [{"max_tokens": 200}, {"max_tokens": 400}]),
        ({"max_new_tokens": "x2", "attempts": 3}, {"max_tokens": 3000},
         [{"max_tokens": 6000}, {"max_tokens": 8192}]),
        ({"max_new_tokens": "x1.5"}, {"max_tokens": 101}, [{"max_tokens": 151}]),
        ({"max_new_tokens": "x2"}, {}, [{"max_tokens": 4096}]),  # 2,048 is the service's own
        ({"max_new_tokens": "x2"}, {"max_completion_tokens": 10}, [{"max_completion_tokens": 20}]),
        ({"max_new_tokens": 16000, "attempts": 2}, {"max_tokens": 100}, [{"max_tokens": 16000}]),
        ({"max_new_tokens": 50}, {"max_tokens": 100}, [{"max_tokens": 50}]),
        ({"temperature": 0.2, "attempts": 3}, {"temperature": 0.1},
         [{"temperature": 0.3}, {"temperature": 0.5}, {"temperature": 0.7}]),
        ({"temperature": 0.2, "attempts": 3}, {"temperature": 1.7},
         [{"temperature": 1.9}, {"temperature": 2.0}]),
        ({"max_new_tokens": "x2", "temperature": 0.5, "attempts": 3},
         {"max_tokens": 4096, "temperature": 0.0},
         [{"max_tokens": 8192, "temperature": 0.5}, {"max_tokens": 8192, "temperature": 1.0},
          {"max_tokens": 8192, "temperature": 1.5}]),
    ],
)  # fmt: skip
def test_parameters_change_each_time(option: Any, fields: Any, changes: Any) -> None:
    expected = [{"messages": [QUESTION], **fields, **each} for each in changes]
    assert requests(option, **fields) == expected


@pytest.mark.parametrize(
    ("option", "fields", "reason"),
    [
        ({"max_new_tokens": "x2"}, {"max_tokens": 8192}, "a factor .* up to 8192, and it is 8192"),
        ({"max_new_tokens": "x2"}, {"max_tokens": 20000}, "it is 20000 already"),
        ({"max_new_tokens": 512}, {"max_tokens": 512}, "max_new_tokens is 512 already"),
        ({"temperature": 0.2}, {"temperature": 2.0}, "the temperature is 2 already"),
    ],
)
def test_what_would_change_nothing_is_refused(option: Any, fields: Any, reason: str) -> None:
    with pytest.raises(OptionError, match=f"on_reject would change nothing: .*{reason}"):
        again(option, **fields)


def test_attempts_that_would_be_the_same_are_said_not_made() -> None:
    (warning,) = again({"max_new_tokens": "x2", "attempts": 5}, max_tokens=4096).warnings
    assert "attempts is 5, and from attempt 2 on nothing would be different" in warning
    assert again({"max_new_tokens": "x2", "attempts": 5}, max_tokens=10).warnings == []


def test_a_repair_shows_the_model_its_answer_and_what_is_wrong_with_it_once() -> None:
    first, second = requests({"repair": 1, "temperature": 0.2, "attempts": 2}, temperature=0)
    asked, shown, wrong = first["messages"]
    assert asked == QUESTION
    assert shown == {"role": "assistant", "content": "Sure"}
    assert wrong["role"] == "user"
    assert wrong["content"].startswith(WRONG.message)
    assert second == {"messages": [QUESTION], "temperature": 0.4}


def test_after_a_repair_by_itself_the_first_request_is_not_sent_again() -> None:
    assert len(requests({"repair": 1, "attempts": 2})) == 1


def test_a_repair_of_a_tool_call_answers_each_call() -> None:
    (first,) = requests({"repair": 1}, calling("get_weather", "{"))
    _, shown, wrong = first["messages"]
    assert shown["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": "{"}
    assert (wrong["role"], wrong["tool_call_id"]) == ("tool", "call_1")
    assert wrong["content"].startswith(WRONG.message)


@pytest.mark.parametrize(
    "answer", [completion(""), completion(None), completion(None, tool_calls=[{"id": 5}])]
)
def test_an_answer_without_text_can_be_shown(answer: dict[str, Any]) -> None:
    (first,) = requests({"repair": 1}, answer)
    assert first["messages"][1] == {"role": "assistant", "content": "(no text)"}


def test_the_request_at_first_is_left_as_it_was() -> None:
    body = {"messages": [QUESTION], "max_tokens": 5}
    again({"repair": 1, "max_new_tokens": "x2"}, max_tokens=5).request(
        body, completion("a"), WRONG, 1
    )
    assert body == {"messages": [QUESTION], "max_tokens": 5}


@given(
    factor=st.sampled_from([None, "x2", "x1.1", "x3", 1, 512, 9000]),
    step=st.sampled_from([None, 0.1, 0.7, 2]),
    repair=st.integers(0, 4),
    attempts=st.integers(1, 6),
    tokens=st.none() | st.integers(1, 20_000),
    temperature=st.floats(0, 2),
)
def test_no_two_requests_of_a_row_are_the_same(
    factor: Any, step: Any, repair: int, attempts: int, tokens: int | None, temperature: float
) -> None:
    option = {"max_new_tokens": factor, "temperature": step, "repair": repair, "attempts": attempts}
    fields = {"temperature": temperature, **({} if tokens is None else {"max_tokens": tokens})}
    try:
        policy = read_on_reject(option)
        assert policy is not None
        made = Again(policy, fields)
    except OptionError:
        return
    body = {"messages": [QUESTION], **fields}
    sent: list[dict[str, Any]] = [body]
    for times in range(1, 8):
        request = made.request(body, completion("always the same"), WRONG, times)
        if request is None:
            break
        sent.append(request)
    assert 1 < len(sent) <= attempts + 1
    assert all(one != other for at, one in enumerate(sent) for other in sent[:at])
    assert all(0 <= request["temperature"] <= 2 for request in sent)
    assert all(
        request.get("max_tokens", 1)
        <= max(8192, tokens or 0, factor if isinstance(factor, int) else 0)
        for request in sent
    )
