"""``batch status`` and ``batch list``, and ``models``: looking, which changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.api import Connection, FireworksClient
from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import MODEL, Command, question, submit, write_lines


def test_status_shows_one_screen(fireworks: Command, at_emulator: Emulator) -> None:
    batch = submit(at_emulator, ["good", "bad [[fail]]", "fine"])
    at_emulator.clock.advance(3600)
    ended = fireworks("batch", "status", batch, "--price-in", "1000", "--price-out", "10000")
    assert ended.code == 0
    assert ended.err == ""
    assert ended.out.startswith(f"{batch}  Completed\n")
    assert "3 of 3 done (100 %), 1 failed" in ended.out
    assert MODEL in ended.out
    assert "a trial" in ended.out
    assert "Cost     $" in ended.out
    assert "\x1b" not in ended.out


def test_status_shows_each_job_and_why_it_failed(fireworks: Command, at_emulator: Emulator) -> None:
    batch = submit(at_emulator, ["one", "two", "three"], rows_a_job=2)
    at_emulator.set_job(f"{batch}-0", state="JOB_STATE_FAILED", message="input.jsonl:1 is invalid")
    at_emulator.set_job(f"{batch}-1", state="JOB_STATE_RUNNING", rows=0)
    ended = fireworks("batch", "status", batch)
    assert ended.code == 0
    assert "input.jsonl:1 is invalid" in ended.out
    assert "Expires" in ended.out
    assert re.search(rf"{batch}-0 +failed", ended.out)
    assert re.search(rf"{batch}-1 +running", ended.out)
    assert "of 2 jobs" in ended.out


def test_status_as_json(fireworks: Command, at_emulator: Emulator) -> None:
    batch = submit(at_emulator, ["good", "bad [[fail]]", "fine"], rows_a_job=2)
    at_emulator.clock.advance(3600)
    told = json.loads(fireworks("batch", "status", batch, "--json").out)
    assert told["id"] == batch
    assert told["phase"] == "completed"
    assert told["ended"] is True
    assert told["rows"] == {"total": 3, "done": 3, "answered": 2, "failed": 1}
    assert told["tokens"]["output"] > 0
    assert told["window_hours"] == 24
    assert [job["id"] for job in told["jobs"]] == [f"{batch}-0", f"{batch}-1"]
    assert told["cost"] == pytest.approx(_listed_cost(told))
    assert "half for batch" in told["prices"]["source"]
    with_cost = json.loads(
        fireworks(
            "batch", "status", batch, "--json", "--price-in", "0", "--price-out", "1000000"
        ).out
    )
    assert with_cost["cost"] == told["tokens"]["output"]
    assert with_cost["prices"] == {
        "input": 0, "cached_input": 0, "output": 1_000_000, "source": "your own prices",
    }  # fmt: skip


def _listed_cost(told: dict[str, Any]) -> float:
    """What the tokens of a batch cost by the prices that are told with them."""
    tokens, prices = told["tokens"], told["prices"]
    fresh = tokens["input"] - tokens["cached_input"]
    dollars = fresh * prices["input"] + tokens["cached_input"] * prices["cached_input"]
    return float(dollars + tokens["output"] * prices["output"]) / 1e6


def test_a_model_without_a_price_is_said_to_have_none(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    batch = submit(at_emulator, ["good"], model="accounts/fireworks/models/toy-chat")
    at_emulator.clock.advance(3600)
    told = json.loads(fireworks("batch", "status", batch, "--json").out)
    assert (told["cost"], told["prices"]) == (None, None)
    said = "no price of toy-chat is known: --price-in and --price-out give one"
    assert said in fireworks("batch", "status", batch).out
    assert "Cost" not in fireworks("batch", "list").out
    write_lines(Path("in.jsonl"), [question("good")])
    check = (
        "batch",
        "check",
        "-c",
        config,
        "-i",
        "in.jsonl",
        "--model.model_name=" + told["model"],
    )
    assert said in fireworks(*check).out
    assert json.loads(fireworks(*check, "--json").out)["cost"] is None


def test_models_have_prices(fireworks: Command, at_emulator: Emulator) -> None:
    told = {model["id"]: model for model in json.loads(fireworks("models", "--json").out)}
    assert told["accounts/fireworks/models/toy-chat"]["prices"] is None
    prices = told[MODEL]["prices"]
    assert prices["batch"]["input"] == pytest.approx(prices["online"]["input"] / 2)
    ended = fireworks("models")
    assert f"{prices['online']['input']:g}" in ended.out
    assert re.search(r"genai-prices \S+, prices of 20\d\d-\d\d-\d\d, \d+ days? ago", ended.err)


@pytest.mark.parametrize(
    ("texts", "state", "code"),
    [
        (["good"], None, 0),
        (["good", "bad [[fail]]"], None, 3),
        (["good", "fine"], "JOB_STATE_EXPIRED", 3),
        (["good"], "JOB_STATE_FAILED", 1),
    ],
)
def test_watch_ends_with_the_batch_and_as_it_did(
    fireworks: Command, at_emulator: Emulator, texts: list[str], state: str | None, code: int
) -> None:
    batch = submit(at_emulator, texts)
    if state == "JOB_STATE_FAILED":
        at_emulator.set_job(batch, state, "out of luck")
    elif state is not None:
        at_emulator.set_job(batch, state, rows=1)
    ended = fireworks("batch", "status", batch, "--watch", "--json")
    told = json.loads(ended.out)
    assert ended.code == code
    assert told["ended"] is True
    assert batch in ended.err
    if state == "JOB_STATE_FAILED":
        assert told["error"] == "out of luck"


def test_an_id_that_is_none_is_wrong_use_and_an_unknown_one_a_failure(
    fireworks: Command, at_emulator: Emulator
) -> None:
    assert fireworks("batch", "status", "Not an id").code == 2
    unknown = fireworks("batch", "status", "oumi-nosuchbatch")
    assert unknown.code == 1
    assert "There is no batch oumi-nosuchbatch on this account" in unknown.err


def test_list_is_newest_first_with_a_line_for_each_batch(
    fireworks: Command, at_emulator: Emulator
) -> None:
    ids = [
        submit(at_emulator, ["a"]),
        submit(at_emulator, ["a", "b", "c"], rows_a_job=1),
        submit(at_emulator, ["a"]),
    ]
    at_emulator.clock.advance(3600)
    ended = fireworks("batch", "list")
    head, *lines = ended.out.splitlines()
    assert ended.code == 0
    assert head.split() == [
        "Batch",
        "State",
        "Rows",
        "Done",
        "Failed",
        "Cost",
        "Age",
        "Window",
        "Name",
        "Model",
    ]
    assert [line.split()[0] for line in lines] == ids[::-1]
    assert all("llama-v3p1-8b-instruct" in line for line in lines)
    told = json.loads(fireworks("batch", "list", "--json").out)
    assert [batch["id"] for batch in told] == ids[::-1]
    assert [len(batch["jobs"]) for batch in told] == [1, 3, 1]


def test_list_has_the_cost_at_the_prices_that_are_given(
    fireworks: Command, at_emulator: Emulator
) -> None:
    ids = [submit(at_emulator, ["a"]), submit(at_emulator, ["b"])]
    at_emulator.clock.advance(3600)
    prices = ("--price-in", "0", "--price-out", "1000000")
    told = json.loads(fireworks("batch", "list", "--json", *prices).out)
    head, *lines = fireworks("batch", "list", *prices).out.splitlines()
    assert head.split()[5:7] == ["Cost", "Age"]
    for line, batch in zip(lines, told, strict=True):
        assert batch["id"] in ids
        assert batch["cost"] == batch["tokens"]["output"] > 0
        assert f"${batch['cost']:,.2f}" in line.split()
    assert fireworks("batch", "list", "--price-in", "1").code == 2


def test_list_puts_further_runs_of_a_batch_below_it(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), [question("good"), question("bad [[fail]]")])
    fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    other = submit(at_emulator, ["a"])
    first = next(job.id for job in at_emulator.jobs if job.id not in (other, f"{other}-r1"))
    _, *lines = fireworks("batch", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == [other, first, f"{first}-r1"]
    assert lines[2].startswith("  ")


def test_an_unknown_model_leads_to_the_list_of_models(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    at_emulator.faults.add(
        Fault(
            method="POST",
            path="batchInferenceJobs",
            kind="status",
            status=404,
            body='{"code": 5, "message": "Model not found: accounts/fireworks/models/x"}',
        )
    )
    write_lines(Path("in.jsonl"), [question("good")])
    ended = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl")
    assert ended.code == 1
    assert "Model not found" in ended.err
    assert "`oumi-fireworks models` lists the models" in ended.err


@pytest.mark.parametrize("width", [32, 80, 120])
def test_list_fits_the_terminal_and_cuts_no_id(at_emulator: Emulator, width: int) -> None:
    ids = {submit(at_emulator, ["a"]), submit(at_emulator, ["a", "b", "c"], rows_a_job=1)}
    ours, its = pty.openpty()
    done = subprocess.Popen(
        [Path(sys.executable).with_name("oumi-fireworks"), "batch", "list"],
        stdout=its,
        stderr=its,
        env={**os.environ, "COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(its)
    shown = b""
    with suppress(OSError), open(ours, "rb", buffering=0) as screen:  # Linux: the end is an error
        while some := screen.read(4096):
            shown += some
    assert done.wait() == 0
    assert not re.search(rb"\x1b\[[0-9;]*(3[0-7]|9[0-7])[m;]", shown)  # NO_COLOR
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).splitlines()
    assert max(map(len, lines)) <= width
    assert {line.split()[0] for line in lines[1:3]} == ids
    # What there is no room for is named, over as many lines as that takes.
    left_out = " ".join(" ".join(lines[3:]).split())
    assert left_out.startswith("The terminal is too narrow for: State,") is (width == 32)
    assert bool(left_out) is (width == 32)


def test_list_finds_a_batch_of_which_jobs_are_gone(
    fireworks: Command, at_emulator: Emulator
) -> None:
    batch = submit(at_emulator, ["a", "b", "c"], rows_a_job=1)

    async def remove() -> None:
        connection = Connection.from_environment(environ=at_emulator.env)
        async with FireworksClient(connection) as client:
            await client.jobs.delete(f"{batch}-1")

    asyncio.run(remove())
    (told,) = json.loads(fireworks("batch", "list", "--json").out)
    assert told["id"] == batch
    assert [job["id"] for job in told["jobs"]] == [f"{batch}-{shard}" for shard in range(3)]


def test_list_can_be_narrowed(fireworks: Command, at_emulator: Emulator) -> None:
    ids = [submit(at_emulator, ["a"]) for _ in range(4)]
    at_emulator.clock.advance(3600)
    last = submit(at_emulator, ["a"])
    at_emulator.set_job(last, "JOB_STATE_PENDING")

    def listed(*arguments: str) -> list[str]:
        out = fireworks("batch", "list", "--json", *arguments).out
        return [batch["id"] for batch in json.loads(out)]

    assert listed("--limit", "2") == [last, ids[3]]
    assert listed("--state", "waiting") == [last]
    assert listed("--state", "JOB_STATE_PENDING") == [last]
    assert listed("--state", "completed", "--limit", "3") == ids[:0:-1]
    assert listed("--state", "waiting", "--state", "completed", "--all") == [last, *ids[::-1]]
    wrong = fireworks("batch", "list", "--state", "complete")
    assert wrong.code == 2
    assert "Did you mean completed?" in wrong.err


def test_list_of_nothing(fireworks: Command, at_emulator: Emulator) -> None:
    ended = fireworks("batch", "list")
    assert (ended.code, ended.out) == (0, "")
    assert "There are no batches." in ended.err
    assert json.loads(fireworks("batch", "list", "--json").out) == []


def test_models(fireworks: Command, at_emulator: Emulator) -> None:
    told = json.loads(fireworks("models", "--json").out)
    everything = json.loads(fireworks("models", "--json", "--all").out)
    assert all(model["chat"] for model in told)
    assert len(told) < len(everything)
    assert fireworks("models").out.splitlines()[1].startswith("accounts/fireworks/models/")


@pytest.mark.parametrize(
    "arguments", [["batch", "list"], ["batch", "status", "oumi-aaaaaaaaaaaaaaaa"], ["models"]]
)
def test_without_a_key_or_an_answer_there_is_one_clear_message(
    fireworks: Command,
    at_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    at_emulator.faults.add(Fault(kind="status", status=403, times=9))
    refused = fireworks(*arguments)
    assert refused.code == 1
    assert refused.err.startswith("oumi-fireworks: ")
    assert "Check the key" in refused.err
    monkeypatch.delenv("FIREWORKS_API_KEY")
    no_key = fireworks(*arguments)
    assert no_key.code == 2
    assert "FIREWORKS_API_KEY" in no_key.err
    assert "Traceback" not in refused.err + no_key.err
