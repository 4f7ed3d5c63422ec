"""What doctor finds, what it advises, and how it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest
from click.testing import Result
from typer.testing import CliRunner

from oumi_fireworks.api import Account, resolve_root
from oumi_fireworks.cli import checks
from oumi_fireworks.cli.checks import Check
from oumi_fireworks.cli.commands import app
from oumi_fireworks.cli.schemas import schema_of
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.plugin import Resolution

OURS = Resolution(engines={}, owners={"FIREWORKS": "oumi-fireworks"}, problems=())


def doctor(*arguments: str, **environ: str | None) -> Result:
    unset = {"FIREWORKS_API_KEY": None, "FIREWORKS_BASE_URL": None, "FIREWORKS_ACCOUNT_ID": None}
    return CliRunner().invoke(app, ["doctor", *arguments], env={**unset, **environ})


def service(url: str, key: str | None) -> Check:
    check, _ = asyncio.run(checks.check_service(resolve_root(url), key))
    return check


def test_all_is_well(emulator: Emulator) -> None:
    result = doctor("--json", **emulator.env)
    findings = json.loads(result.stdout)
    assert result.exit_code == 0
    assert findings["ok"] is True
    jsonschema.validate(findings, schema_of("doctor"))
    assert [(check["name"], check["status"]) for check in findings["checks"]] == [
        ("python", "ok"),
        ("packages", "ok"),
        ("url", "ok"),
        ("key", "ok"),
        ("service", "ok"),
        ("account", "ok"),
        ("entry points", "ok"),
        ("engine", "ok"),
    ]
    details = {check["name"]: check["details"] for check in findings["checks"]}
    assert details["engine"] == {"class": "oumi_fireworks.engine.engine.FireworksInferenceEngine"}
    assert details["url"] == {"url": emulator.url, "source": "FIREWORKS_BASE_URL"}
    assert details["account"]["account"] == emulator.account
    assert emulator.api_key not in result.output


def test_people_get_a_line_for_each_finding_and_the_next_step(emulator: Emulator) -> None:
    result = doctor(**{**emulator.env, "FIREWORKS_API_KEY": "fw_wrong"})
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert any(line.startswith("ok       engine        engine: FIREWORKS is") for line in lines)
    (failure,) = [line for line in lines if line.startswith("failed   service")]
    assert "The API key you provided is invalid." in failure
    assert "the key" in lines[lines.index(failure) + 1]
    assert lines[-1] == "1 of 8 checks failed."
    assert "fw_wrong" not in result.output


def test_without_a_key_the_service_is_not_asked() -> None:
    result = doctor("--json")
    found = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    assert found["key"]["status"] == "failed"
    assert "FIREWORKS_API_KEY" in found["key"]["next_step"]
    assert found["service"]["status"] == found["account"]["status"] == "skipped"


def test_wrong_use_ends_with_two() -> None:
    assert doctor("--no-such-option").exit_code == 2


def test_a_service_that_cannot_be_reached_is_named() -> None:
    with Emulator() as gone:
        url, key = gone.url, gone.api_key
    check = service(url, key)
    assert check.status == "failed"
    assert url in check.next_step


def test_a_failing_service_is_asked_once(emulator: Emulator) -> None:
    emulator.faults.add(Fault(path="/v1/accounts", kind="status", status=503, times=None))
    check = service(emulator.url, emulator.api_key)
    assert check.status == "failed"
    assert "503" in check.found
    assert len(emulator.requests_to("GET", "/v1/accounts")) == 1


def test_the_other_checks_need_the_packages_but_not_our_own_metadata() -> None:
    versions: dict[str, object] = dict.fromkeys(checks.PACKAGES, "1.0")
    assert checks.is_complete(Check("packages", "ok", "", details=versions))
    assert checks.is_complete(
        Check("packages", "failed", "", "", versions | {"oumi-fireworks": None})
    )
    assert not checks.is_complete(Check("packages", "failed", "", "", versions | {"aiohttp": None}))


@pytest.mark.parametrize(
    ("environ", "status", "says"),
    [
        ({}, "ok", "https://api.fireworks.ai (default;"),
        ({"FIREWORKS_BASE_URL": "http://localhost:1"}, "ok", "http://localhost:1 (FIREWORKS_BASE"),
        ({"FIREWORKS_BASE_URL": "http://example.com"}, "failed", "plain http"),
        ({"FIREWORKS_BASE_URL": "fireworks"}, "failed", "not an http(s) URL"),
    ],
)
def test_the_url_and_where_it_comes_from(environ: dict[str, str], status: str, says: str) -> None:
    check, root = checks.check_url(environ)
    assert check.status == status
    assert says in check.found
    assert (root is None) == (status == "failed")
    assert ("FIREWORKS_BASE_URL" in check.next_step) == (status == "failed")


@pytest.mark.parametrize("key", ["fw_a\nb", "fw_a b"])
def test_a_key_that_no_request_can_carry_fails_unseen(key: str) -> None:
    check, usable = checks.check_key({"FIREWORKS_API_KEY": key})
    assert (check.status, usable) == ("failed", None)
    assert "FIREWORKS_API_KEY" in check.next_step
    assert check.details["present"] is True
    assert "fw_" not in f"{check}"


@pytest.mark.parametrize(
    ("configured", "listed", "status", "says"),
    [
        (None, ["acme"], "ok", "acme (the key's only one)"),
        ("acme", ["acme", "zoo"], "ok", "acme (FIREWORKS_ACCOUNT_ID)"),
        (None, ["acme", "zoo"], "failed", "acme, zoo"),
        (None, [], "failed", "none"),
        ("acne", ["acme"], "failed", "not among the key's: acme"),
        ("acme", None, "skipped", "acme (FIREWORKS_ACCOUNT_ID), not verified"),
        (None, None, "skipped", "Not looked up"),
    ],
)
def test_the_account_and_where_it_comes_from(
    configured: str | None, listed: list[str] | None, status: str, says: str
) -> None:
    environ = {"FIREWORKS_ACCOUNT_ID": configured} if configured else {}
    accounts = None
    if listed is not None:
        accounts = [Account(id=name, name=f"accounts/{name}") for name in listed]
    check = checks.check_account(environ, accounts)
    assert check.status == status
    assert says in check.found
    assert bool(check.next_step) == (status == "failed")


@pytest.mark.parametrize(
    ("changes", "reason", "step"),
    [
        ({"installed": False}, "not installed in this interpreter", "pip install oumi-fireworks"),
        ({"switched_off": True}, "The loader is off", "Unset OUMI_FIREWORKS_LOADER"),
        (
            {"resolution": Resolution(engines={}, owners={"FIREWORKS": "rival"}, problems=())},
            "'rival' brings an engine of that name",
            "pip uninstall rival",
        ),
        (
            {"resolution": Resolution(engines={}, owners={}, problems=("broken",))},
            "No installed distribution has an entry point FIREWORKS",
            "--force-reinstall oumi-fireworks",
        ),
        ({"waiting": False}, "oumi_fireworks_startup.pth was not processed", "register()"),
        ({}, "Another program put it there", "ENGINE_MAP"),
    ],
)
def test_why_fireworks_is_another_class(changes: dict[str, Any], reason: str, step: str) -> None:
    facts: dict[str, Any] = {
        "installed": True,
        "switched_off": False,
        "waiting": True,
        "resolution": OURS,
    }
    said, advised = checks.explain(**{**facts, **changes})
    assert reason in said
    assert step in advised


def test_a_broken_entry_point_fails_and_is_named() -> None:
    problem = "TOGETHER = 'gone:Engine' of the distribution 'aa' is left out: ..."
    broken = Resolution(engines={}, owners=OURS.owners, problems=(problem,))
    check = checks.check_entry_points(broken)
    assert check.status == "failed"
    assert problem in check.found
    assert checks.check_entry_points(OURS).found == "FIREWORKS from oumi-fireworks."
