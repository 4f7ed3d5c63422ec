"""The page itself: the template, filled.

Everything that a template prints is escaped, and stripped of what cannot be seen, by the
environment: a template cannot forget it. The page's policy lets the browser run the one script
and apply the one style sheet whose hashes it names, and load nothing at all.
"""

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from oumi_fireworks.display import words
from oumi_fireworks.report import charts, wording
from oumi_fireworks.report.costs import cost_table
from oumi_fireworks.report.facts import RunFacts
from oumi_fireworks.report.rows import OutcomeKind
from oumi_fireworks.report.sampled_row import FIRST_PASSAGES, SampledRow, lighten
from oumi_fireworks.report.totals import ReportTotals
from oumi_fireworks.report.visible import plain, rich

SAMPLE_BYTES = 1_200_000
"""How much of the page the texts of the shown conversations may take."""

LISTED = 10
"""How many cut-off or empty answers are listed."""

EXAMPLES = 3
"""How many different messages are shown for a kind of failure."""

KIND_NAMES = {
    OutcomeKind.COMPLETE: "Complete",
    OutcomeKind.CUT_OFF: "Cut off",
    OutcomeKind.EMPTY: "Empty",
    OutcomeKind.REJECTED: "Rejected",
    OutcomeKind.FAILED: "Failed",
    OutcomeKind.MISSING: "Missing",
    OutcomeKind.OVER_BUDGET: "Over budget",
}

_FOLDER = Path(__file__).parent


def render(
    *, title: str, run: RunFacts, totals: ReportTotals, rows: list[SampledRow], now: datetime
) -> str:
    """Return the page as HTML, in which every character can be written as UTF-8."""
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    shown = lighten(rows, SAMPLE_BYTES)
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            title=title,
            run=run,
            totals=totals,
            costs=cost_table(run, totals),
            shown=shown,
            now=wording.in_utc(now),
            time_line=charts.time_line(run.jobs, now=wording.in_utc(now)),
            style=Markup(style),  # noqa: S704  (our own files)
            script=Markup(script),  # noqa: S704
            policy=_policy(style, script),
            OutcomeKind=OutcomeKind,
            kind_names=KIND_NAMES,
            listed=LISTED,
            first_passages=FIRST_PASSAGES,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "rich": rich,
        "count": wording.count,
        "compact": wording.compact,
        "share": wording.share,
        "money": words.dollars,
        "duration": words.duration,
        "moment": wording.moment,
        "clock": wording.clock,
        "state": wording.state,
        "place": _place,
        "folded": _folded,
        "start": _start,
        "end": _end,
    }
    environment.globals |= {
        "bar_chart": charts.bar_chart,
        "bar_label": charts.bar_label,
        "failure_examples": _failure_examples,
    }
    return environment


def _shown(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _place(percent: float) -> str:
    """Write a length or place in a drawing."""
    return f"{percent:.2f}".rstrip("0").rstrip(".") + "%"


def _folded(text: str) -> bool:
    """Whether a text is so long that it is first shown in part."""
    return len(text) > 900 or text.count("\n") > 12


def _start(text: str, length: int) -> str:
    """Return the first `length` characters, on one line and all to be seen."""
    line = " ".join(plain(text[: length * 2]).split())
    return line if len(line) <= length else line[:length].rstrip() + "…"


def _end(text: str, length: int) -> str:
    """Return the last `length` characters, on one line and all to be seen."""
    line = " ".join(plain(text[-length * 2 :]).split())
    return line if len(line) <= length else "…" + line[-length:].lstrip()


def _failure_examples(label: str, rows: Iterable[SampledRow]) -> list[SampledRow]:
    """Return rows that failed in one way, each with another message."""
    by_message: dict[str, SampledRow] = {}
    for row in rows:
        if row.label == label and row.failure:
            by_message.setdefault(row.failure.message, row)
    return list(by_message.values())[:EXAMPLES]


def _policy(style: str, script: str) -> str:
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'"
    )


def _hash(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
