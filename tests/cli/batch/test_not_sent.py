"""``--cache`` and ``--dedupe``: rows that are answered without being sent, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import Command, question, read_lines, write_lines

ROWS = [question(f"{text} [[echo]]") for text in ("a", "b", "a", "a")]


def answers(path: str) -> list[str]:
    return [row["messages"][-1]["content"] for row in read_lines(Path(path))]


def sources(path: str) -> list[str | None]:
    return [row["metadata"].get("answered_by") for row in read_lines(Path(path))]


def test_repeats_are_sent_once_and_counted(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    common = ["-c", config, "--input", "in.jsonl"]
    check = fireworks("batch", "check", *common)
    assert "2 of 4 rows are repeats" in " ".join(check.out.split())
    assert json.loads(fireworks("batch", "check", *common, "--json").out)["repeats"] == 2
    ended = fireworks("batch", "run", *common, "--output", "out.jsonl", "--report", "r.html")
    assert ended.code == 0, ended.err
    assert "2 of 4 rows are repeats" in ended.err
    assert [text.split()[0] for text in answers("out.jsonl")] == ["a", "b", "a", "a"]
    assert sources("out.jsonl") == [None, None, "repeat", "repeat"]
    assert at_emulator.ledger.rows == 2


def test_repeats_are_sent_where_that_is_wanted(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    common = ["-c", config, "--input", "in.jsonl", "--output", "out.jsonl", "--overwrite"]
    assert fireworks("batch", "run", *common, "--dedupe", "off").code == 0
    assert fireworks("batch", "run", *common, "--generation.temperature", "0.7").code == 0
    assert at_emulator.ledger.rows == 8
    refused = fireworks("batch", "run", *common, "--dedupe", "maybe")
    assert refused.code == 2
    assert "dedupe: expected 'auto' or 'on' or 'off'" in refused.err


def test_what_the_cache_knows_costs_nothing_more(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    common = ["-c", config, "--input", "in.jsonl", "--cache", "cache"]
    check = fireworks("batch", "check", *common)
    assert check.code == 0
    assert not Path("cache").exists()
    for output in ("one.jsonl", "other.jsonl"):
        ended = fireworks("batch", "run", *common, "--output", output, "--report", f"{output}.html")
        assert ended.code == 0, ended.err
    assert "4 of 4 rows are known to the answer cache" in ended.err
    assert answers("one.jsonl") == answers("other.jsonl")
    assert sources("other.jsonl") == ["cache"] * 4
    assert at_emulator.ledger.rows == 2
    assert "4 of 4 rows are known" in " ".join(fireworks("batch", "check", *common).out.split())
    old = fireworks("batch", "check", *common, "--cache-max-age", "1h", "--json")
    assert json.loads(old.out)["from_cache"] == 4


def test_a_cache_is_looked_at_and_emptied(fireworks: Command, config: Path) -> None:
    write_lines(Path("in.jsonl"), ROWS)
    common = ["-c", config, "--input", "in.jsonl", "--cache", "cache"]
    assert fireworks("batch", "run", *common, "--output", "out.jsonl").code == 0
    assert json.loads(fireworks("cache", "stats", "cache", "--json").out)["answers"] == 2
    shown = fireworks("cache", "stats", "cache")
    assert "Answers" in shown.out
    none = fireworks("cache", "clear", "cache", "--older-than", "30d", "--yes", "--json")
    assert json.loads(none.out) == {"removed": 0}
    assert fireworks("cache", "clear", "cache", typed="n\n").code == 1
    assert "Removed 2 answers." in fireworks("cache", "clear", "cache", "--yes").err
    missing = fireworks("cache", "stats", "elsewhere")
    assert missing.code == 2
    assert "There is no answer cache in elsewhere" in missing.err


def test_results_by_id_share_what_a_run_asked_once(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    texts = ("a [[echo]]", "b [[fail 400]]", "a [[echo]]", "b [[fail 400]]", "c [[echo]]")
    rows: list[object] = [question(text, metadata={"n": n}) for n, text in enumerate(texts)]
    write_lines(Path("in.jsonl"), [rows[0], b"{", *rows[1:]])
    ended = fireworks(
        "batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl", "--skip-bad",
        "--model.model_kwargs.fireworks.row_retries=0",
    )  # fmt: skip
    assert ended.code == 3, ended.err
    assert at_emulator.ledger.rows == 3
    [job] = at_emulator.jobs
    results = ("batch", "results", job.id, "--output", "again.jsonl", "--overwrite", "--input")
    ended = fireworks(*results, "in.jsonl")
    assert ended.code == 3, ended.err
    assert "2 of 5 rows are repeats" in ended.err
    found = read_lines(Path("again.jsonl"))
    assert [(row["messages"][-1]["content"][0], row["metadata"]["n"]) for row in found] == [
        ("a", 0), ("a", 2), ("c", 4)
    ]  # fmt: skip
    assert sources("again.jsonl") == [None, "repeat", None]
    failures = read_lines(Path("again.jsonl.errors.jsonl"))
    assert sorted(line["index"] for line in failures if line["index"] is not None) == [1, 3]
    for others in ([*rows[:2], question("x"), *rows[3:]], [rows[1], rows[0], *rows[2:]], rows[:2]):
        write_lines(Path("other.jsonl"), others)
        refused = fireworks(*results, "other.jsonl")
        assert refused.code == 2, refused.err
        assert "not what was submitted" in refused.err
    further = fireworks("batch", "retry", job.id, "-c", config, "--input", "in.jsonl")
    assert further.code == 0, further.err
    assert at_emulator.jobs[-1].id == further.out.strip()
    at_emulator.clock.advance(3600)
    assert at_emulator.ledger.rows == 4
    ended = fireworks("batch", "results", job.id, further.out.strip(), *results[3:], "in.jsonl")
    assert ended.code == 3
    assert "2 of 5 rows are repeats" in ended.err
