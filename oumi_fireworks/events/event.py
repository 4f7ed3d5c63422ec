"""The vocabulary: one type for each kind of thing that happens in a run.

A line of an events file is one of them as a JSON object. Kinds and fields may be added in any
release; what is here keeps its name and its meaning. No event holds a prompt, an answer or a key.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from typing_extensions import TypedDict  # pydantic reads no other one before Python 3.12


class RowsSoFar(TypedDict):
    """Rows at one moment, as the service counts them: to it a rejected answer is one."""

    total: int | None
    """null where it is not known yet."""
    answered: int
    failed: int


class RowOutcomes(TypedDict):
    """Rows at the end of a run, each of them once; all are 0 where it was ended early."""

    total: int | None
    """null where it is not known."""
    answered: int
    """They are in the output; also those whose rejected answer the option `accept` keeps there."""
    rejected: int
    """Those whose answers do not hold."""
    failed: int
    """Those without an answer, for whatever other reason."""
    over_budget: int
    """Those that were never sent, since the option `max_cost` did not allow it."""


class TokenCounts(TypedDict):
    """Tokens so far, as the service counts them."""

    input: int
    cached_input: int
    """Those of the input that the service had in its cache."""
    output: int


class Stamp(TypedDict):
    """What every event has."""

    time: str
    """When, as ISO 8601 in UTC."""
    run: str
    """The same in all events of one command or one call of `infer`; going on with a run that was
    interrupted is another one."""


class RunStarted(Stamp):
    """A command or a call of `infer` begins, or goes on where an earlier one was interrupted."""

    event: Literal["run_started"]
    mode: Literal["online", "batch"]
    model: str
    rows: int | None
    """null where the input is read only later."""
    output: str | None


class BatchUnderWay(Stamp):
    """A batch of the run is seen for the first time: the first one, or one of rows run again."""

    event: Literal["batch_under_way"]
    batch: str
    jobs: list[str]


class RunProgress(Stamp):
    """Counts or the state have changed; at most every few seconds."""

    event: Literal["progress"]
    batch: str | None
    """null online, and where all batches of a cluster are meant."""
    state: str | None
    """The service's own name, such as JOB_STATE_RUNNING; null where `batch` is."""
    rows: RowsSoFar
    tokens: TokenCounts
    """Of the batch, or of all batches; online those of this command or call."""
    cost: float | None
    """Dollars for them; null where no price is known."""
    refusals: int | None
    """Online, the 429s so far: they cost time, and no rows. null in a batch."""


class BatchEnded(Stamp):
    """All jobs of a batch have ended, well or badly. Its open rows may be run again."""

    event: Literal["batch_ended"]
    batch: str
    jobs: list[str]
    state: str
    rows: RowsSoFar
    tokens: TokenCounts
    cost: float | None
    """Dollars for them; null where no price is known."""
    error: str | None
    """The service's message."""


class NeedsALook(Stamp):
    """Something that a person should know of; the run goes on."""

    event: Literal["needs_a_look"]
    message: str


class CapReached(Stamp):
    """Rows were not sent, since the option `max_cost` did not allow it. The run ends."""

    event: Literal["cap_reached"]
    rows: int
    """How many."""


class RunEnded(Stamp):
    """The last event of a command or call that was not killed."""

    event: Literal["run_ended"]
    outcome: Literal["answered", "rows_open", "failed", "interrupted"]
    """answered: every row; rows_open: some have no answer; failed: `error` says why."""
    rows: RowOutcomes
    tokens: TokenCounts | None
    """Of all batches of the run that ended with its results, and of what ran online; null where
    none were counted."""
    cost: float | None
    """Dollars for them; null where no price is known."""
    seconds: float
    """That this command or call has taken."""
    output: str | None
    error: str | None


Event: TypeAlias = (
    RunStarted | BatchUnderWay | RunProgress | BatchEnded | NeedsALook | CapReached | RunEnded
)
