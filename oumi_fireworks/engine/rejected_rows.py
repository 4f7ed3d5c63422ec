"""Rows whose answers do not hold, remembered beside Oumi's scratch file.

Oumi names that file after the model, the parameters and the input. With the same ones such a row is
not run again; its answers were paid for, and may hold by other rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import orjson
from oumi.core.types.conversation import Conversation

from oumi_fireworks.accept.answer_rules import AnswerRules
from oumi_fireworks.accept.kept_answer import KeptAnswer
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.conversion import to_conversation
from oumi_fireworks.engine.answer_check import rejection_of
from oumi_fireworks.engine.failures import RejectedAnswer
from oumi_fireworks.engine.outcomes import RowOutcome, RunOutcome, run_others
from oumi_fireworks.engine.scratch import save_to_scratch
from oumi_fireworks.files import whole_lines
from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.online import ScratchFile


class RejectedRow(KeptAnswer):
    """What is known of a row whose answers do not hold, and what becomes of it."""

    def may_run(self, rules: AnswerRules) -> bool:
        """Tell whether it is run again."""
        return rules.again is not None and self.times <= rules.again.most

    def request(self, body: Mapping[str, Any], rules: AnswerRules) -> dict[str, Any] | None:
        """Return the request with which it is run again; None where it is not."""
        if rules.again is None:
            return None
        return rules.again.request(body, self.completion, self.rejection, self.times)

    def outcome(self, asked: Conversation, rules: AnswerRules) -> RowOutcome:
        """Return what becomes of it when it is not run again."""
        rejected = RejectedAnswer.of(self.rejection, self.completion, self.times)
        return rejected.kept(asked) if rules.keeps_rejected else rejected


class RejectedRows:
    """A file with a line for each rejected answer.

    Args:
        scratch: Oumi's scratch file.
    """

    def __init__(self, scratch: str | Path) -> None:
        self.path = Path(f"{scratch}.rejected")

    def load(self) -> dict[str | None, RejectedRow]:
        """Return what is known of each row, by the conversation's id."""
        found = {}
        for line in whole_lines(self.path):
            row = orjson.loads(line)
            rejection = Rejection(row["kind"], row["message"], row["worth"])
            found[row["conversation_id"]] = RejectedRow(row["completion"], rejection, row["times"])
        return found

    def add(self, rows: Sequence[tuple[str | None, RejectedRow]]) -> None:
        """Remember what is known of rows; a later line for a row replaces an earlier one."""
        if not rows:
            return
        with ScratchFile(self.path) as file:
            for name, row in rows:
                file.write(
                    {
                        "conversation_id": name,
                        "times": row.times,
                        "kind": row.rejection.kind,
                        "message": row.rejection.message,
                        "worth": row.rejection.worth,
                        "completion": row.completion,
                    }
                )

    def run_others(
        self,
        conversations: Sequence[Conversation],
        rules: AnswerRules | None,
        scratch: Path,
        run: Callable[[Sequence[Conversation], Mapping[str | None, RejectedRow]], RunOutcome],
        prices: AnswerPrices | None,
    ) -> RunOutcome:
        """Run the rows that are to be run: not those that were rejected as often as they may be.

        Args:
            conversations: All rows.
            rules: What their answers have to be now.
            scratch: Oumi's scratch file, for answers that hold now.
            run: Runs rows; is told what is known of those that were rejected.
            prices: What answers cost, where their metadata are to say that.

        Returns:
            The outcome of all.
        """
        remembered = self.load()
        known: dict[int, RowOutcome] = {}
        open_rows: dict[str | None, RejectedRow] = {}
        for index, asked in enumerate(conversations):
            row = remembered.get(asked.conversation_id)
            if row is None:
                continue
            judged = judged_again(row, asked, rules)
            if isinstance(judged, Conversation):
                known[index] = judged
            elif rules is not None and judged.may_run(rules):
                open_rows[asked.conversation_id] = judged
            elif rules is not None:
                known[index] = judged.outcome(asked, rules)
        if prices is not None:
            for outcome in known.values():
                if isinstance(outcome, Conversation):
                    prices.note(outcome.metadata)
        save_to_scratch(scratch, [each for each in known.values() if is_sound(each)])
        return run_others(conversations, known, lambda rows: run(rows, open_rows))

    def forget(self) -> None:
        """Let all rows be run again."""
        self.path.unlink(missing_ok=True)


def is_sound(outcome: RowOutcome) -> TypeGuard[Conversation]:
    """Tell whether a row has an answer, one that is not marked as rejected."""
    return isinstance(outcome, Conversation) and "rejected" not in outcome.metadata


def judged_again(
    row: RejectedRow, asked: Conversation, rules: AnswerRules | None
) -> Conversation | RejectedRow:
    """Judge the kept answer of a row by the rules of now; return the conversation if it holds."""
    answered = to_conversation(row.completion, asked)
    rejection = None if rules is None else rejection_of(row.completion, rules, answered)
    if rejection is None:
        return answered
    return RejectedRow(row.completion, rejection, row.times)
