"""One row of a batch, as the report takes it.

Results are written by a model and travel through services, so nothing in them is trusted to have
the right shape: what cannot be read counts as absent, and no row ever makes the report fail.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self, TypeAlias

from oumi_fireworks.completions import ANSWERED_BY, RAN_ONLINE
from oumi_fireworks.money import Usage

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object, such as a message, as a JSON parser returns it."""


class OutcomeKind(StrEnum):
    """How a row came out; every row is exactly one of these."""

    COMPLETE = "complete"
    CUT_OFF = "cut-off"
    EMPTY = "empty"
    REJECTED = "rejected"
    FAILED = "failed"
    MISSING = "missing"
    OVER_BUDGET = "over-budget"


_OVER_BUDGET = "over budget"
"""The kind of the failure of a row that was never sent."""


@dataclass(frozen=True, slots=True)
class ReportedAnswer:
    """What the model said: its message, why it stopped, and what that took.

    Attributes:
        message: The message.
        finish_reason: Why it stopped.
        usage: The tokens; None where nobody says, or where this row was not paid for.
        ran_online: Whether it ran online, after the deadline of its batch.
    """

    message: JsonObject
    finish_reason: str | None = None
    usage: Usage | None = None
    ran_online: bool = False

    @property
    def truncated(self) -> bool:
        """Whether the answer stopped at the token limit."""
        return self.finish_reason == "length"

    @property
    def empty(self) -> bool:
        """Whether nothing but white space was said, and no tool was called."""
        return not self.message.get("tool_calls") and all(
            not text or text.isspace() for text in texts(self.message)
        )


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """Why a row has no answer.

    Attributes:
        message: What the service said.
        kind: A short name under which failures of one sort are counted.
        code: The service's code, or an HTTP status.
    """

    message: str
    kind: str = "error"
    code: str | int | None = None

    @classmethod
    def parse(cls, error: object) -> Self:
        """Read an error: `{"kind", "message", "code"}`, a bare string, or anything else."""
        if not isinstance(error, dict):
            return cls("" if error is None else str(error))
        kind, message, code = error.get("kind"), error.get("message"), error.get("code")
        return cls(
            message="" if message is None else str(message),
            kind=kind if isinstance(kind, str) and kind else "error",
            code=code if isinstance(code, str | int) else None,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its prompt with an answer, with a failure, or with neither.

    Attributes:
        index: Zero-based place in the input of the whole batch.
        conversation_id: The id that the input gave it.
        prompt: The messages that were sent; empty where they are not at hand.
        answer: What came back.
        failure: Why nothing came back, or why the answer was rejected; None for a row that is in no
            result at all.
        is_rejected: Whether the answer does not hold.
    """

    index: int
    conversation_id: str | None = None
    prompt: Sequence[JsonObject] = ()
    answer: ReportedAnswer | None = None
    failure: ReportedFailure | None = None
    is_rejected: bool = False

    def __post_init__(self) -> None:
        both = self.answer is not None and self.failure is not None
        if both != self.is_rejected:
            raise ValueError(
                f"row {self.index} has both an answer and a failure"
                if both
                else f"row {self.index} is rejected without an answer, or without a reason"
            )

    @classmethod
    def from_completion(
        cls,
        index: int,
        completion: JsonObject,
        *,
        conversation_id: str | None = None,
        prompt: Sequence[JsonObject] = (),
    ) -> Self:
        """Make an answered row from an OpenAI-shaped chat completion; its first choice counts."""
        choice = _first(completion.get("choices"))
        message = choice.get("message")
        return cls(
            index,
            conversation_id,
            prompt,
            answer=ReportedAnswer(
                message=message if isinstance(message, dict) else {},
                finish_reason=_text(choice.get("finish_reason")),
                usage=_usage(completion),
                ran_online=completion.get(RAN_ONLINE) is True,
            ),
        )

    @classmethod
    def from_rejected(
        cls,
        index: int,
        error: object,
        completion: JsonObject,
        *,
        conversation_id: str | None = None,
        prompt: Sequence[JsonObject] = (),
    ) -> Self:
        """Make a row of an answer that does not hold, and why."""
        answered = cls.from_completion(
            index, completion, conversation_id=conversation_id, prompt=prompt
        )
        return replace(answered, failure=ReportedFailure.parse(error), is_rejected=True)

    @classmethod
    def from_oumi(cls, index: int, conversation: JsonObject) -> Self:
        """Make a row from a conversation in Oumi's format, as output files hold it.

        The last message is the answer when it is the assistant's; a conversation that ends in
        another's words is a row that was never answered.
        """
        found = conversation.get("messages")
        messages = found if isinstance(found, list) else []
        conversation_id = _text(conversation.get("conversation_id"))
        last = messages[-1] if messages else None
        if not (isinstance(last, dict) and last.get("role") == "assistant"):
            return cls(index, conversation_id, messages)
        extra = conversation.get("metadata")
        metadata = extra if isinstance(extra, dict) else {}
        rejected = metadata.get("rejected")
        is_rejected = isinstance(rejected, dict)
        return cls(
            index,
            conversation_id,
            messages[:-1],
            answer=ReportedAnswer(
                message=last,
                finish_reason=_text(metadata.get("finish_reason")),
                usage=_usage(metadata),
                ran_online=metadata.get(RAN_ONLINE) is True,
            ),
            failure=ReportedFailure.parse(rejected) if is_rejected else None,
            is_rejected=is_rejected,
        )

    @classmethod
    def from_failure(
        cls,
        index: int,
        error: object,
        *,
        conversation_id: str | None = None,
        prompt: Sequence[JsonObject] = (),
    ) -> Self:
        """Make a failed row from the `error` of a line of the errors file or of a result file.

        An error of the kind `missing`, with no code of the service's, says that the row is in no
        result file: that is no failure.
        """
        failure = ReportedFailure.parse(error)
        if failure.kind == OutcomeKind.MISSING and failure.code is None:
            return cls(index, conversation_id, prompt)
        return cls(index, conversation_id, prompt, failure=failure)

    @property
    def kind(self) -> OutcomeKind:
        """How the row came out."""
        if self.is_rejected:
            return OutcomeKind.REJECTED
        if self.answer is None:
            if self.failure is None:
                return OutcomeKind.MISSING
            is_unsent = self.failure.kind == _OVER_BUDGET and self.failure.code is None
            return OutcomeKind.OVER_BUDGET if is_unsent else OutcomeKind.FAILED
        if self.answer.truncated:
            return OutcomeKind.CUT_OFF
        return OutcomeKind.EMPTY if self.answer.empty else OutcomeKind.COMPLETE


def texts(message: object) -> Iterator[str]:
    """Return the texts of a message's content, which is a string or a list of parts.

    Text parts are taken in OpenAI's shape (`text`) and in Oumi's (`content`).
    """
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and part.get("type") == "text":
                text = part.get("text", part.get("content"))
                if isinstance(text, str):
                    yield text


def _usage(answer: JsonObject) -> Usage | None:
    """Return the tokens of a row; those of one that was not sent are another one's."""
    return None if ANSWERED_BY in answer else Usage.parse(answer.get("usage"))


def _first(choices: object) -> JsonObject:
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
