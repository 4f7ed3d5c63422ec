"""The rows of an ``infer`` that failed: written beside the output, and said at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import click
import orjson

from oumi_fireworks.completions import kept_answer
from oumi_fireworks.engine.failures import RejectedAnswer
from oumi_fireworks.engine.oumi_errors import is_oumi_command
from oumi_fireworks.engine.outcomes import FailedRow, describe_failures
from oumi_fireworks.files import write_whole
from oumi_fireworks.logs import logger_for
from oumi_fireworks.tables.output import errors_path

logger = logger_for(__name__)

_ADVICE = "The answers are kept. Make room and do the same again: nothing is paid twice."

ROWS_OPEN = 3
"""Exit code where the output is written and rows are missing in it, as that of ``batch run``."""


def write_failed_rows(output: str, failed: Sequence[FailedRow]) -> None:
    """Write the failed rows beside an output, in the form of ``batch run``; no file for none."""
    path = errors_path(output)
    if not failed:
        path.unlink(missing_ok=True)
        return
    lines = (
        {
            "index": row.index,
            "conversation_id": row.conversation_id,
            "error": {
                "kind": row.failure.error_type.value,
                "message": row.failure.error_message,
                "code": None if row.failure.status_code is None else str(row.failure.status_code),
            },
        }
        if not isinstance(row.failure, RejectedAnswer)
        else {
            "index": row.index,
            "conversation_id": row.conversation_id,
            "error": {"kind": row.failure.kind, "message": row.failure.reason, "code": None},
            "rejected": row.failure.times,
            **kept_answer(row.failure.completion),
        }
        for row in failed
    )
    content = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    write_whole(path, content, advice=_ADVICE)


def report_failed_rows(output: str | None, failed: Sequence[FailedRow], rows: int) -> None:
    """Say which rows have failed, and let Oumi's command end with `ROWS_OPEN`."""
    place = f" They are in {errors_path(output)}." if output else ""
    logger.warning("%s%s", describe_failures(failed, rows), place)
    if is_oumi_command():
        _end_with(ROWS_OPEN)


def _end_with(code: int) -> None:
    """Let the command that is running exit with a code, should it come to a good end.

    Its last act is to leave its root context with 0. An exit raised earlier, say while the context
    is closed, would leave that on click's stack.
    """
    root = click.get_current_context().find_root()
    leave = root.exit

    def leave_with(given: int = 0) -> NoReturn:
        leave(given or code)

    root.exit = leave_with  # type: ignore[method-assign, assignment]
