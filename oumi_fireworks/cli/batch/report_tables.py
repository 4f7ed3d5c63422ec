"""The rows of an output that has them all, as a report takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oumi_fireworks.accept.probe import Probe
from oumi_fireworks.cli.batch.own_lines import FailureLines
from oumi_fireworks.display.words import dollars
from oumi_fireworks.report import ReportBuilder, Row
from oumi_fireworks.tables.cells import json_of
from oumi_fireworks.tables.kept_lines import KeptResults
from oumi_fireworks.tables.kept_rows import BAD_ROW, KeptOutput, KeptRow
from oumi_fireworks.tables.output import errors_path
from oumi_fireworks.user_json import dumps


def add_rows(
    kept: KeptOutput, file: Path, builder: ReportBuilder, probe: Probe
) -> tuple[int, list[str]]:
    """Add the rows of a table.

    Args:
        kept: Reads it.
        file: The output.
        builder: Takes the rows.
        probe: Is shown the answers.

    Returns:
        How many rows of the input were left out, and notes.
    """
    failures = FailureLines(errors_path(file))
    index, cost, left_out = 0, 0.0, 0
    for row in kept.rows():
        if row.outcome == BAD_ROW:
            left_out += 1
            continue
        _, failure = failures.of(index) or (b"", None)
        builder.add(_row(index, row, failure))
        completion = row.completion()
        if row.outcome == "answered" and completion is not None:
            probe.look(completion)
        cost += row.values["cost"] or 0.0
        index += 1
    note = [f"The column cost comes to {dollars(cost)}."] if cost else []
    return max(left_out, failures.left_out()), note


def add_results(kept: KeptResults, file: Path, builder: ReportBuilder, probe: Probe) -> int:
    """Add the rows of an output in the form of OpenAI's Batch API; see :func:`add_rows`."""
    failures = FailureLines(errors_path(file))
    for index, line in enumerate(kept.lines()):
        name, response, said = line["custom_id"], line["response"], line["error"] or {}
        error = {"kind": said.get("code"), "message": said.get("message"), "code": None}
        _, failure = failures.of(index) or (b"", None)
        if response is None:
            error = error if failure is None else failure["error"]
            builder.add(open_row(index, error, failure or {}, name))
        elif line["error"] is not None:
            builder.add(Row.from_rejected(index, error, response["body"], conversation_id=name))
        else:
            builder.add(Row.from_completion(index, response["body"], conversation_id=name))
            probe.look(response["body"])
    return failures.left_out()


def open_row(index: int, error: object, line: Mapping[str, Any], name: str | None) -> Row:
    """Make the row of a line among the errors."""
    if "rejected" not in line:
        return Row.from_failure(index, error, conversation_id=name)
    choice = {"message": line.get("answer"), "finish_reason": line.get("finish_reason")}
    completion = {"choices": [choice], "usage": line.get("usage")}
    return Row.from_rejected(index, error, completion, conversation_id=name)


def _row(index: int, row: KeptRow, failure: Mapping[str, Any] | None) -> Row:
    """Make the row of a table's, with its cells in place of the prompt, which is not in it."""
    cells = [{"role": "columns", "content": "\n".join(_cells(row))}]
    name = None if failure is None else failure.get("conversation_id")
    completion = row.completion()
    if row.outcome == "answered" and completion is not None:
        return Row.from_completion(index, completion, conversation_id=name, prompt=cells)
    error = {"kind": row.outcome, "message": row.values["error"], "code": None}
    if failure is not None:
        error = failure["error"]
    if row.outcome == "rejected" and completion is not None:
        return Row.from_rejected(index, error, completion, conversation_id=name, prompt=cells)
    return Row.from_failure(index, error, conversation_id=name, prompt=cells)


def _cells(row: KeptRow) -> Iterator[str]:
    for name, value in row.own.items():
        text = value if isinstance(value, str) else dumps(json_of(value)).decode()
        yield f"{name}: {text}"
