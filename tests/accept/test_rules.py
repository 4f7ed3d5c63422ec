"""What the options take, what they refuse, and how they say it."""

from __future__ import annotations

from typing import Any

import pytest

from oumi_fireworks.accept.rules import (
    AcceptRules,
    Growth,
    OnReject,
    read_accept,
    read_on_reject,
)
from oumi_fireworks.errors import OptionError


def test_accept_is_read() -> None:
    assert read_accept(None) is None
    assert read_accept({}) is None
    assert read_accept({"json": False, "keep": True}) is None
    assert read_accept({"finish_reason": ["stop"], "json": True, "keep": True}) == AcceptRules(
        finish_reason=("stop",), json=True, keep=True
    )
    assert read_accept(repr) == read_accept({"test": repr}) == AcceptRules(test=repr)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("json", "fireworks option accept: expected a mapping of finish_reason, .*got 'json'"),
        (
            {"jsn": True},
            r"There is no accept\.jsn\. Did you mean 'json'\? There are: finish_reason",
        ),
        ({"json": "yes"}, r"accept\.json: expected true or false, got 'yes'"),
        ({"finish_reason": ["stopp"]}, r"accept\.finish_reason: .* Did you mean 'stop'\?"),
        ({"finish_reason": []}, "that is not empty"),
        ({"finish_reason": 5}, r"accept\.finish_reason: expected a list of stop"),
        ({"schema": 5}, r"accept\.schema: expected true .* or a JSON schema, got 5"),
        ({"test": "fn"}, "a Python function, which YAML cannot hold"),
    ],
)
def test_a_rule_that_is_none_is_refused(option: Any, expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        read_accept(option)


@pytest.mark.parametrize(
    ("option", "read"),
    [
        ({"max_new_tokens": "x2"}, OnReject(Growth(2.0))),
        ({"max_new_tokens": "x1.5", "attempts": 3}, OnReject(Growth(1.5), attempts=3)),
        ({"max_new_tokens": 4096}, OnReject(Growth(to=4096))),
        ({"temperature": 0.2}, OnReject(temperature=0.2)),  # what YAML makes of +0.2
        ({"temperature": "+0.2"}, OnReject(temperature=0.2)),
        ({"repair": 1, "attempts": 2}, OnReject(repair=1, attempts=2)),
    ],
)
def test_on_reject_is_read(option: Any, read: OnReject) -> None:
    assert read_on_reject(option) == read


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({}, "on_reject would change nothing"),
        ({"attempts": 3}, "on_reject would change nothing"),
        ({"repair": 0}, "on_reject would change nothing"),
        ({"max_new_tokens": "x1"}, "a factor above 1"),
        ({"max_new_tokens": "x0.5"}, "a factor above 1"),
        ({"max_new_tokens": "2x"}, "a factor above 1"),
        ({"max_new_tokens": 0}, "a factor above 1"),
        ({"max_new_tokens": True}, "a factor above 1"),
        ({"temperature": -0.2}, "what is added each time"),
        ({"temperature": "0.7"}, "what is added each time"),
        ({"temperature": 0.2, "attempts": 0}, "a whole number, 1 or more, got 0"),
        ({"repair": 2}, r"repair is 2, and on_reject\.attempts only 1"),
        ({"atempts": 2}, "Did you mean 'attempts'"),
        ("x2", "expected a mapping of max_new_tokens"),
    ],
)
def test_what_would_change_nothing_or_makes_no_sense_is_refused(option: Any, expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        read_on_reject(option)
