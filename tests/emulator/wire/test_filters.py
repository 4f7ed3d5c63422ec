"""Filters of lists."""

from __future__ import annotations

import pytest

from oumi_fireworks.emulator.wire.filters import FilterError, parse_filter

JOB = {
    "name": "accounts/a/batchInferenceJobs/nightly-1",
    "displayName": "Nightly",
    "state": "JOB_STATE_RUNNING",
    "createTime": "2026-08-30T03:08:56.029803417Z",
    "exampleCount": "12",
    "waitingOnCapacity": False,
    "jobProgress": {"percent": 40},
    "placement": None,
}


@pytest.mark.parametrize(
    "condition",
    [
        "",
        'state="JOB_STATE_RUNNING"',
        "state = JOB_STATE_RUNNING",
        "state='JOB_STATE_RUNNING'",
        "state!=JOB_STATE_FAILED",
        'state="JOB_STATE_RUNNING" AND display_name="Nightly"',
        "state=JOB_STATE_RUNNING displayName=Nightly",
        "state=JOB_STATE_FAILED OR state=JOB_STATE_RUNNING",
        "NOT state=JOB_STATE_FAILED",
        "-state=JOB_STATE_FAILED",
        "(state=JOB_STATE_FAILED OR state=JOB_STATE_RUNNING) AND NOT displayName=x",
        "jobProgress.percent>=40 AND job_progress.percent<41",
        "example_count > 9",
        "waitingOnCapacity=false",
        'createTime>"2026-08-30T03:08:56Z" AND createTime<"2026-08-30T03:08:57Z"',
        'display_name="Night*"',
        'display_name="*ghtl*"',
        'display_name="*ly"',
        "displayName:night",
        "displayName:*",
        "jobProgress:percent",
        'NOT state="a \\"quoted\\" word"',
    ],
)
def test_these_hold(condition: str) -> None:
    assert parse_filter(condition)(JOB)


@pytest.mark.parametrize(
    "condition",
    [
        'state="JOB_STATE_FAILED"',
        "state=JOB_STATE_RUNNING AND displayName=x",
        "NOT state=JOB_STATE_RUNNING",
        "jobProgress.percent>40",
        "example_count<9",
        "nothing=x",
        "nothing.at.all>3",
        "placement:*",
        "jobProgress.percent=many",
        "jobProgress.percent>many",
        "waitingOnCapacity=true",
        'createTime<"2026-08-30T03:08:56Z"',
    ],
)
def test_these_do_not(condition: str) -> None:
    assert not parse_filter(condition)(JOB)


def test_nesting_has_an_end() -> None:
    assert parse_filter("(" * 20 + "a=b" + ")" * 20)({"a": "b"})
    for opening in ("(", "NOT "):
        with pytest.raises(FilterError, match="too deeply"):
            parse_filter(opening * 2000 + "a=b")


@pytest.mark.parametrize(
    "condition",
    ["state=", "=x", "state", "(state=x", "state=x)", "state==x", "AND", 'state="x', "a=b OR"],
)
def test_nonsense_is_refused(condition: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(condition)
