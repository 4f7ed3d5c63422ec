"""Everything that is counted over all rows."""

from collections import Counter
from collections.abc import Sequence

from oumi_fireworks.money import Usage
from oumi_fireworks.report.histogram import Histogram
from oumi_fireworks.report.rows import JsonObject, OutcomeKind, Row, texts

UNNAMED = "not given"
OTHERS = "(others)"

LABEL_LENGTH = 60
"""Characters of a name."""


class Names:
    """Counts names, of which only the first `most` different ones get a count of their own."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.counts: Counter[str] = Counter()

    def add(self, name: str | None) -> str:
        """Count a name and returns the label that it was counted under."""
        label = name[:LABEL_LENGTH] if name else UNNAMED
        if label not in self.counts and len(self.counts) >= self._most:
            label = OTHERS
        self.counts[label] += 1
        return label


class ReportTotals:
    """The counts of a batch.

    Attributes:
        kinds: Rows by how they came out.
        finish_reasons: Answers by why they ended.
        failures: Failed and rejected rows by the kind of their failure.
        prompt_tokens: Tokens of the prompts of answered rows.
        answer_tokens: Tokens of the answers.
        cut_off_tokens: Tokens of the answers that hit the limit.
        prompt_characters: Characters of the prompts, where they are at hand.
        answer_characters: Characters of the answers.
        cut_off_characters: Characters of the answers that hit the limit.
        cached_tokens: Prompt tokens that came from the cache.
        answered_tokens: The tokens of the answers, by whether they came online after a deadline.
        rejected_tokens: The same of the rejected answers.
        online_rows: Rows that ran online after a deadline, and have an answer.
    """

    def __init__(self) -> None:
        self.kinds: Counter[OutcomeKind] = Counter()
        self.finish_reasons = Names(most=8)
        self.failures = Names(most=12)
        self.prompt_tokens = Histogram()
        self.answer_tokens = Histogram()
        self.cut_off_tokens = Histogram()
        self.prompt_characters = Histogram()
        self.answer_characters = Histogram()
        self.cut_off_characters = Histogram()
        self.cached_tokens = 0
        self.answered_tokens = {False: Usage(), True: Usage()}
        self.rejected_tokens = {False: Usage(), True: Usage()}
        self.online_rows = 0

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.kinds.total()

    @property
    def answered(self) -> int:
        """Rows with an answer that was taken, be it cut off or empty."""
        with_answers = (OutcomeKind.COMPLETE, OutcomeKind.CUT_OFF, OutcomeKind.EMPTY)
        return sum(self.kinds[kind] for kind in with_answers)

    def add(self, row: Row) -> str:
        """Count a row and returns the finish reason or kind of failure it was counted under."""
        kind = row.kind
        self.kinds[kind] += 1
        if row.prompt:
            self.prompt_characters.add(_length(row.prompt))
        if row.answer is not None:
            self.online_rows += row.answer.ran_online
            tokens = self.rejected_tokens if row.is_rejected else self.answered_tokens
            tokens[row.answer.ran_online] += row.answer.usage or Usage()
        if row.answer is None or row.is_rejected:
            return self.failures.add(row.failure.kind) if row.failure else ""
        length = _length((row.answer.message,))
        self.answer_characters.add(length)
        if kind is OutcomeKind.CUT_OFF:
            self.cut_off_characters.add(length)
        if usage := row.answer.usage:
            self.prompt_tokens.add(usage.prompt)
            self.answer_tokens.add(usage.completion)
            self.cached_tokens += usage.cached
            if kind is OutcomeKind.CUT_OFF:
                self.cut_off_tokens.add(usage.completion)
        return self.finish_reasons.add(row.answer.finish_reason)


def _length(messages: Sequence[JsonObject]) -> int:
    characters = 0
    for message in messages:
        for text in texts(message):
            characters += len(text)
    return characters
