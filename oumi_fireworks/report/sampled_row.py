"""What the page keeps of a row that it shows: its conversation, cut to size."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from oumi_fireworks.grammar import number
from oumi_fireworks.money import Usage
from oumi_fireworks.report.excerpt import Excerpt, level
from oumi_fireworks.report.rows import JsonObject, OutcomeKind, ReportedFailure, Row, texts
from oumi_fireworks.report.visible import plain, rich

KEPT_CHARACTERS = 6000
"""Characters that are kept of a row."""

FIRST_PASSAGES, LAST_PASSAGES = 4, 8
"""Passages that are kept of a long conversation."""

SHORT = 80
"""Characters of a text that is to be short."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One thing that someone said.

    Attributes:
        speaker: A role, or `reasoning` or `tool call`.
        text: What was said.
        answer: Whether this is the model's answer and not part of the prompt.
    """

    speaker: str
    text: Excerpt
    answer: bool = False

    @property
    def weight(self) -> int:
        """Bytes that its text takes on the page."""
        return len(rich(self.text.head).encode()) + len(rich(self.text.tail).encode())


@dataclass(frozen=True, slots=True)
class SampledRow:
    """One row on show.

    Attributes:
        index: Zero-based place in the input.
        conversation_id: The row's own id, possibly cut.
        kind: How the row came out.
        label: The finish reason or the kind of failure that it is counted under.
        passages: The conversation.
        skipped: Passages that were left out after the first `FIRST_PASSAGES`.
        usage: Tokens of the answer.
        failure: Why there is no answer, its message possibly cut.
    """

    index: int
    conversation_id: str | None
    kind: OutcomeKind
    label: str
    passages: tuple[Passage, ...]
    skipped: int = 0
    usage: Usage | None = None
    failure: ReportedFailure | None = None

    @classmethod
    def of(cls, row: Row, label: str) -> "SampledRow":
        """Keep what is to be shown of `row`; long texts are cut and let go."""
        said = [(*words, False) for message in row.prompt for words in _said(message)]
        if row.answer is not None:
            said += [(*words, True) for words in _said(row.answer.message)]
        skipped = max(0, len(said) - FIRST_PASSAGES - LAST_PASSAGES)
        if skipped:
            said = said[:FIRST_PASSAGES] + said[-LAST_PASSAGES:]
        cap = level([len(text) for _, text, _ in said], KEPT_CHARACTERS)
        return cls(
            index=row.index,
            conversation_id=row.conversation_id and _short(row.conversation_id),
            kind=row.kind,
            label=label,
            passages=tuple(
                Passage(speaker, Excerpt.of(text, cap), answer) for speaker, text, answer in said
            ),
            skipped=skipped,
            usage=row.answer.usage if row.answer else None,
            failure=row.failure and _brief(row.failure),
        )

    @property
    def question(self) -> Excerpt | None:
        """The last thing that was asked: the user's last words, or the prompt's."""
        prompt = [passage for passage in self.passages if not passage.answer]
        asked = [passage for passage in prompt if passage.speaker == "user"] or prompt
        return asked[-1].text if asked else None

    @property
    def reply(self) -> Excerpt | None:
        """What the model said at last."""
        answers = [passage for passage in self.passages if passage.answer]
        return answers[-1].text if answers else None

    @property
    def weight(self) -> int:
        """Bytes that its texts take on the page."""
        return sum(passage.weight for passage in self.passages)

    def lightened(self, most: int) -> "SampledRow":
        """Return the same row, its texts cut further until they weigh at most `most` bytes.

        A character weighs from one byte to a dozen, so the right number of characters is found
        by trying.
        """
        row = self
        while (weight := row.weight) > most:
            kept = [passage.text.kept for passage in row.passages]
            characters = min(sum(kept) - 1, sum(kept) * most // weight)
            cap = level(kept, characters)
            row = replace(
                row,
                passages=tuple(
                    replace(passage, text=passage.text.shortened(cap)) for passage in row.passages
                ),
            )
        return row


def lighten(rows: list[SampledRow], budget: int) -> list[SampledRow]:
    """Cut the heaviest rows until all of them weigh at most `budget` bytes."""
    cap = level([row.weight for row in rows], budget)
    return [row.lightened(cap) for row in rows]


def _said(message: object) -> Iterator[tuple[str, str]]:
    """Who said what in a message: reasoning, its content, and the tools that it calls."""
    if not isinstance(message, dict):
        return
    role = message.get("role")
    speaker = _short(role) if isinstance(role, str) and role else "assistant"
    reasoning = message.get("reasoning_content")
    if isinstance(reasoning, str) and reasoning:
        yield "reasoning", reasoning
    calls = message.get("tool_calls")
    tool_calls = calls if isinstance(calls, list) else []
    content = "\n".join([*texts(message), *_attachments(message)])
    if content or not tool_calls:
        yield speaker, content
    for call in tool_calls:
        yield "tool call", _tool_call(call)


def _attachments(message: JsonObject) -> Iterator[str]:
    """Return a line for each part of the content that is not text, such as an image."""
    content = message.get("content")
    for part in content if isinstance(content, list) else []:
        if not isinstance(part, dict) or part.get("type") == "text":
            continue
        kind = part.get("type")
        value = part.get(kind) if isinstance(kind, str) else None
        source = value.get("url") if isinstance(value, dict) else value or part.get("content")
        yield f"[{_short(str(kind))}: {_short(source)}]" if isinstance(source, str) else f"[{kind}]"


def _tool_call(call: object) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return str(call)
    return f"{function.get('name')}({function.get('arguments')})"


def _brief(failure: ReportedFailure) -> ReportedFailure:
    code = failure.code
    return ReportedFailure(
        message=_short(failure.message, 600),
        kind=_short(failure.kind),
        code=_short(code) if isinstance(code, str) else code,
    )


def _short(text: str, limit: int = SHORT) -> str:
    """Make a text fit a line of the page: at most `limit` characters, all to be seen."""
    shown = plain(text[:limit])[:limit]
    return shown if len(text) <= limit else f"{shown}… ({number(len(text), 'character')})"
