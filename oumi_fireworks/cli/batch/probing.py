"""What of the answers would be rejected: those of a run, and those of an output that there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oumi_fireworks.accept.probe import Probe
from oumi_fireworks.accept.verdicts import verdict
from oumi_fireworks.batch.rejections import group_of
from oumi_fireworks.cli.batch.configuration import BatchSettings
from oumi_fireworks.cli.batch.own_lines import own_lines
from oumi_fireworks.cli.json_outputs import AnswersOutput
from oumi_fireworks.grammar import number
from oumi_fireworks.tables.sink import FinishedRow

_KINDS_SHOWN = 10
"""Kinds of rejection that are listed."""


def probe_of(settings: BatchSettings) -> Probe:
    """Return what looks for answers that would be worth a rule."""
    rules = None if settings.rules is None else settings.rules.acceptance.rules
    return Probe(rules, settings.template.shared_fields)


class ProbeFeed:
    """Shows a probe the answers as they are delivered.

    Args:
        probe: The probe.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def see(self, finished: FinishedRow) -> None:
        """Look at a row."""
        if finished.outcome == "answered" and finished.completion is not None:
            self._probe.look(finished.completion)


class TrialOfAnswers:
    """Holds the answers of an output against the rules, without asking for anything.

    Args:
        path: The output, conversations as ``run`` writes them.
        settings: The configuration.

    Raises:
        WrongUseError: If it is none.
    """

    def __init__(self, path: Path, settings: BatchSettings) -> None:
        self._path = path
        self._probe = probe_of(settings)
        self._rejected: Counter[str] = Counter()
        self._answers = 0
        acceptance = None if settings.rules is None else settings.rules.acceptance
        for _, row in own_lines(path):
            completion = completion_of(row)
            if completion is None:
                continue
            self._answers += 1
            found = None
            if acceptance is not None:
                found = verdict(completion, acceptance, row.get("tools") or ())
            if found is None:
                self._probe.look(completion)
            else:
                self._rejected[group_of(found.kind)] += 1

    def as_json(self) -> AnswersOutput:
        """Return the counts for a script."""
        return AnswersOutput(
            file=str(self._path),
            answers=self._answers,
            rejected=dict(self._rejected),
            worth_a_rule=dict(self._probe.kinds),
        )

    def lines(self) -> list[str]:
        """Return the counts for people."""
        total = self._rejected.total()
        said = [f"{self._path}: {number(self._answers, 'answer')}, {total:,} would be rejected"]
        kinds = self._rejected.most_common(_KINDS_SHOWN)
        said += [f"{count:,} × {kind}" for kind, count in kinds]
        return [*said, *self._probe.advice()]


def completion_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the answer of a conversation as the service would have sent it; None without one."""
    messages = row.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return None
    metadata = row.get("metadata")
    reason = metadata.get("finish_reason") if isinstance(metadata, dict) else None
    return {"choices": [{"message": last, "finish_reason": reason}]}
