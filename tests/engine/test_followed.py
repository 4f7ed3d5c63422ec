"""Options that a way of running rows cannot follow, each of them and all at once."""

from __future__ import annotations

from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.engine.followed import Way, require_followed
from oumi_fireworks.errors import OptionError
from oumi_fireworks.params import FireworksParams
from tests.engine.conftest import EngineFactory, questions

ONLINE = [{"key": "k"}, {"deadline": "6h"}, {"then": "online"}]
SUBMITTED = [
    {"deadline": "6h"}, {"then": "online"}, {"cache": "answers"}, {"dedupe": "on"},
    {"events": "e.jsonl"}, {"notify": "json://localhost"},
]  # fmt: skip
ON_A_CLUSTER = [*SUBMITTED[:3], {"key": "k"}, {"delete_datasets": True}]

REFUSED = [
    *((way, options) for way in (Way.INFER_ONLINE, Way.RUN_ONLINE) for options in ONLINE),
    *(
        (way, options)
        for way in (Way.SUBMIT, Way.INFER_BATCH, Way.RETRY, Way.RETRY_BATCH)
        for options in SUBMITTED
    ),
    *((Way.RAY, options) for options in ON_A_CLUSTER),
]


@pytest.mark.parametrize(("way", "options"), REFUSED)
def test_what_is_not_followed_is_refused_by_name(way: Way, options: dict[str, Any]) -> None:
    [name] = options
    with pytest.raises(OptionError, match=f"option {name}.* cannot be followed by {way}"):
        require_followed(FireworksParams(**options), way)


@pytest.mark.parametrize("way", Way)
def test_what_every_way_follows_is_not_refused(way: Way) -> None:
    require_followed(FireworksParams(), way)
    require_followed(FireworksParams(dedupe="off", max_shard_rows=1, poll_interval=1.0), way)


def test_options_of_one_reason_are_said_together() -> None:
    with pytest.raises(OptionError, match="deadline and then cannot be followed by `batch submit`"):
        require_followed(FireworksParams(deadline="6h", then="online"), Way.SUBMIT)


@pytest.mark.parametrize("options", [{"key": "k"}, {"deadline": "6h"}])
def test_infer_online_sends_nothing(
    make_engine: EngineFactory, emulator: Emulator, options: dict[str, Any]
) -> None:
    with pytest.raises(OptionError, match="cannot be followed by `infer` with mode: online"):
        make_engine(**options).infer(questions(1))
    assert not emulator.requests


def test_infer_batch_submits_nothing(make_engine: EngineFactory, emulator: Emulator) -> None:
    with pytest.raises(OptionError, match="deadline cannot be followed by `infer_batch`"):
        make_engine(deadline="6h").infer_batch(questions(1))
    assert not emulator.requests


def test_retry_batch_sends_nothing(make_engine: EngineFactory, emulator: Emulator) -> None:
    with pytest.raises(OptionError, match="cache cannot be followed by `retry_batch`"):
        make_engine(cache="answers").retry_batch("oumi-any", questions(1))
    assert not emulator.requests


@pytest.mark.parametrize("way", [Way.RUN, Way.INFER_AS_BATCH])
def test_a_key_and_a_deadline_exclude_each_other_where_each_alone_is_followed(way: Way) -> None:
    require_followed(FireworksParams(deadline="6h"), way)
    require_followed(FireworksParams(key="k"), way)
    with pytest.raises(OptionError, match="Leave out one of them, deadline or key"):
        require_followed(FireworksParams(deadline="6h", key="k"), way)


@pytest.mark.parametrize("way", [Way.RUN_ONLINE, Way.INFER_ONLINE])
def test_where_neither_is_followed_that_is_what_is_said(way: Way) -> None:
    with pytest.raises(OptionError, match="key cannot be followed") as refused:
        require_followed(FireworksParams(deadline="6h", key="k"), way)
    assert "deadline cannot be followed" in str(refused.value)
    assert "Leave out one" not in str(refused.value)
