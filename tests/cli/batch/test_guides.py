"""The guides in docs/guides: their commands do, with their files, what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from oumi_fireworks.batch.ids import stem_of_key
from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import Command, Ended, question, questions, read_lines, write_lines
from tests.imports import ROOT
from tests.snippets import calls_in, snippets_of

QUICK = "--model.model_kwargs.fireworks.poll_interval=0.05"


class Guide:
    """The commands of a guide, which are run one after another, in a folder with its files."""

    def __init__(self, name: str, fireworks: Command) -> None:
        document = ROOT / "docs" / "guides" / f"{name}.md"
        self._calls = [call for each in snippets_of(document) for call in calls_in(each)]
        self._fireworks = fireworks
        named = re.finditer(
            r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```",
            document.read_text("utf-8"),
            re.MULTILINE | re.DOTALL,
        )
        for file in named:
            Path(file[1]).write_text(file[2], "utf-8")

    def goes_on(self, *start: str) -> Ended:
        """Run the next command, which begins with these words."""
        call = self._calls.pop(0)
        assert call[1 : len(start) + 1] == [*start]
        quick = [QUICK] if start[-1] in ("run", "retry") else []
        return self._fireworks(*call[1:], *quick)

    @property
    def is_at_its_end(self) -> bool:
        return not self._calls


def answers(path: str) -> list[str]:
    return [row["messages"][-1]["content"] for row in read_lines(Path(path))]


def change(path: str, *, into: str | None = None, **options: object) -> None:
    """Change options of the engine in a configuration, or leave them out (None)."""
    config = yaml.safe_load(Path(path).read_text("utf-8"))
    engine = config["model"]["model_kwargs"]["fireworks"]
    engine.update(options)
    for name in [name for name, value in engine.items() if value is None]:
        del engine[name]
    Path(into or path).write_text(yaml.safe_dump(config), "utf-8")


def test_answers_that_hold(fireworks: Command, at_emulator: Emulator) -> None:
    guide = Guide("answers-that-hold", fireworks)
    good = '[[reply {"label": "card"}]]'
    texts = [f"Ticket 0 {good}", f"Ticket 1 [[bad 1]]{good}", f"Ticket 2 [[flaky 2]]{good}"]
    write_lines(Path("questions.jsonl"), [question(text) for text in texts])
    ran = guide.goes_on("batch", "run")
    assert ran.code == 3, ran.err
    assert "3 rows: 2 answered, 1 failed." in ran.err
    assert "Rejected on the way: " in ran.err
    (left,) = read_lines(Path("labels.jsonl.errors.jsonl"))
    assert left["index"] == 2
    told = guide.goes_on("batch", "report")
    assert told.code == 0, told.err
    paid = at_emulator.ledger.rows
    checked = guide.goes_on("batch", "check")
    assert checked.code == 0, checked.err
    assert at_emulator.ledger.rows == paid
    change("checked.yaml", on_reject={"repair": 1, "temperature": "+0.2", "attempts": 3})
    retried = guide.goes_on("batch", "retry")
    assert retried.code == 0, retried.err
    labels = [json.loads(each) for each in answers("labels.jsonl")]
    assert [list(each) for each in labels] == [["label"]] * 3
    assert guide.is_at_its_end


def test_deadline(fireworks: Command, at_emulator: Emulator) -> None:
    guide = Guide("deadline", fireworks)
    questions(Path("questions.jsonl"), 3)
    nightly = guide.goes_on("batch", "run")
    assert nightly.code == 0, nightly.err
    assert all(answers("answers.jsonl"))
    assert len(at_emulator.jobs) == 1
    change("nightly.yaml", into="now.yaml", deadline=None, then=None)
    now = guide.goes_on("batch", "run")
    assert now.code == 0, now.err
    assert all(answers("now.jsonl"))
    assert len(at_emulator.jobs) == 1
    assert len(at_emulator.requests_to("POST", "/chat/completions$")) == 3
    assert guide.is_at_its_end


def test_schedulers(fireworks: Command, at_emulator: Emulator) -> None:
    guide = Guide("schedulers", fireworks)
    questions(Path("questions.jsonl"), 3)
    ran = guide.goes_on("batch", "run")
    assert ran.code == 0, ran.err
    first, second = guide.goes_on("batch", "submit"), guide.goes_on("batch", "submit")
    assert (first.code, second.code) == (0, 0), second.err
    later = guide.goes_on("batch", "run")
    assert later.code == 0, later.err
    keys = [stem_of_key("etl/2026-11-27"), stem_of_key("etl/2026-11-28")]
    assert first.out == second.out == f"{keys[1]}\n"
    assert [job.id for job in at_emulator.jobs] == keys
    assert answers("later.jsonl") == answers("answers.jsonl")
    assert guide.is_at_its_end
