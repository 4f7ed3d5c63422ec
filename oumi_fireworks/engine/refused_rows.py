"""Rows that Fireworks has refused for good, remembered beside Oumi's scratch file.

Oumi names that file after the model, the parameters and the input. With the same ones such a row
would be refused again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson
from oumi.core.inference.base_inference_engine import FailureDetail, InferenceErrorType
from oumi.core.types.conversation import Conversation

from oumi_fireworks.engine.failures import is_refused
from oumi_fireworks.engine.outcomes import FailedRow, RunOutcome, failed_rows, run_others
from oumi_fireworks.files import whole_lines
from oumi_fireworks.online import ScratchFile


class RefusedRows:
    """A file with a line for each refused row.

    Args:
        scratch: Oumi's scratch file.
    """

    def __init__(self, scratch: str | Path) -> None:
        self.path = Path(f"{scratch}.refused")

    def load(self) -> Mapping[str | None, FailureDetail]:
        """Return why each row was refused, by the conversation's id."""
        rows = map(orjson.loads, whole_lines(self.path))
        return {
            row["conversation_id"]: FailureDetail(
                row["message"],
                status_code=row["status"],
                is_retryable=False,
                error_type=InferenceErrorType.API_STATUS,
            )
            for row in rows
        }

    def run_others(
        self,
        conversations: Sequence[Conversation],
        run: Callable[[Sequence[Conversation]], RunOutcome],
    ) -> RunOutcome:
        """Run those that were not refused before, and remember which ones are now.

        Args:
            conversations: All of them.
            run: Runs conversations.

        Returns:
            The outcome of all.
        """
        before = self.load()
        known = {
            index: before[id]
            for index, each in enumerate(conversations)
            if (id := each.conversation_id) in before
        }

        def run_and_remember(others: Sequence[Conversation]) -> RunOutcome:
            result = run(others)
            self.add(failed_rows(others, result.outcomes, {}))
            return result

        return run_others(conversations, known, run_and_remember)

    def add(self, failed: Sequence[FailedRow]) -> None:
        """Remember those of the rows that were refused for good."""
        with ScratchFile(self.path) as file:
            for row in failed:
                if is_refused(row.failure):
                    file.write(
                        {
                            "conversation_id": row.conversation_id,
                            "status": row.failure.status_code,
                            "message": row.failure.error_message,
                        }
                    )

    def forget(self) -> None:
        """Let all rows be sent again."""
        self.path.unlink(missing_ok=True)
