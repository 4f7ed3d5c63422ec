"""The output lines of a batch: from completions and failures to the bytes of the result files."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from oumi_fireworks.emulator.state.records import Tally
from oumi_fireworks.emulator.toy.markers import status_in


class RowFailure(NamedTuple):
    """A row that could not be answered.

    Attributes:
        message: Why.
        status: The HTTP status that the same request would have had online.
    """

    message: str
    status: int = 500


class RowOutput(NamedTuple):
    """What a row leaves behind.

    Attributes:
        results: Its lines for the result file, each ending in a newline.
        errors: Its lines for the error file.
        tally: What it adds to what was done.
    """

    results: bytes
    errors: bytes
    tally: Tally


def output_of(custom_id: str, answer: dict[str, Any] | RowFailure) -> RowOutput:
    """Return the output of a row that was answered, or that failed."""
    if isinstance(answer, RowFailure):
        return _failed(custom_id, {"message": answer.message, "code": answer.status})
    return RowOutput(_line(custom_id, answer), b"", _tally(answer, 1))


def marked_output(custom_id: str, markers: dict[str, str], answer: dict[str, Any]) -> RowOutput:
    """Return the output of a row whose prompt has markers, which may ask for something unusual."""
    line = _line(custom_id, answer)
    if "fail" in markers:
        status = status_in(markers["fail"])
        return output_of(custom_id, RowFailure("the prompt asked for a failure", status))
    if "fail-string" in markers:
        return _failed(custom_id, "the prompt asked for a failure")
    if "fail-odd" in markers:
        line = orjson.dumps({"custom_id": custom_id, "outcome": "refused"}) + b"\n"
        return RowOutput(b"", line, Tally(processed=1, failed=1))
    if "drop" in markers:
        # It failed, and is in neither file: what is counted as answered is always there.
        return RowOutput(b"", b"", Tally(processed=1, failed=1))
    if "duplicate" in markers:
        return RowOutput(line * 2, b"", _tally(answer, 2))
    if "broken" in markers:
        return RowOutput(line[: len(line) // 2] + b"\n", b"", _tally(answer, 1))
    if "alien" in markers:
        alien = _line(f"alien-{custom_id}", answer)
        return RowOutput(alien + line, b"", _tally(answer, 2))
    return RowOutput(line, b"", _tally(answer, 1))


def _line(custom_id: str, answer: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {"custom_id": custom_id, "response": answer}, option=orjson.OPT_APPEND_NEWLINE
    )


def _failed(custom_id: str, error: object) -> RowOutput:
    line = orjson.dumps({"custom_id": custom_id, "error": error}) + b"\n"
    return RowOutput(b"", line, Tally(processed=1, failed=1))


def _tally(answer: dict[str, Any], lines: int) -> Tally:
    usage = answer.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    return Tally(
        1,
        0,
        lines,
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
        details.get("cached_tokens") or 0,
    )
