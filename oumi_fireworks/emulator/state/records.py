"""What the emulator remembers of datasets and jobs: records that are replaced when they change."""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from oumi_fireworks.emulator.state.clock import Moment
from oumi_fireworks.emulator.state.job_timeline import JobTimeline, Pace


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a dataset.

    Args:
        name: Its plain name.
        size: Its bytes.
        rows: Its lines that are not blank.
    """

    name: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A dataset.

    Args:
        id: Its id.
        created: When it came to be.
        created_ns: The same, in nanoseconds since the epoch.
        updated_ns: When it last changed.
        fields: Its fields as the client gave them (`displayName`, `exampleCount`, ...).
        user_uploaded: Whether a client uploads it, or a job writes it.
        expected: Files announced for signed upload, with their sizes in bytes.
        files: Files that are there.
        uploads: How many files were received in all, replaced ones too.
        complete: When its upload ended, if it has.
        direct: Whether it was uploaded directly: a job may read it even before it is READY.
        settling: Seconds from then until it is READY.
    """

    id: str
    created: Moment
    created_ns: int
    updated_ns: int
    fields: dict[str, Any] = field(default_factory=dict)
    user_uploaded: bool = True
    expected: dict[str, int] = field(default_factory=dict)
    files: tuple[StoredFile, ...] = ()
    uploads: int = 0
    complete: Moment | None = None
    direct: bool = False
    settling: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON, for the disk."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> DatasetRecord:
        """Read a record: the inverse of `to_json`."""
        complete = value.pop("complete")
        return cls(
            created=Moment(**value.pop("created")),
            complete=Moment(**complete) if complete else None,
            files=tuple(StoredFile(**file) for file in value.pop("files")),
            **value,
        )


class Tally(NamedTuple):
    """What has been done of a job.

    Attributes:
        processed: Input rows done, well or badly.
        failed: Those that failed.
        output_rows: Lines in the result files.
        input_tokens: Tokens of their prompts.
        output_tokens: Tokens of their answers.
        cached_tokens: Tokens of their prompts that came from the cache.
    """

    processed: int = 0
    failed: int = 0
    output_rows: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(*map(operator.add, self, other))


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A batch inference job.

    Args:
        id: Its id.
        created: When it came to be.
        created_ns: The same, in nanoseconds since the epoch.
        updated_ns: When it last changed by somebody's request.
        model: Resource name of its model.
        input_dataset: Id of its input dataset.
        output_dataset: Id of the dataset that it writes.
        declared_rows: What the input dataset says of its own length.
        fields: Further fields as the client gave them (`displayName`, `precision`, ...).
        parameters: Defaults for the bodies of its rows, as chat completion fields.
        timeline: What decides its state.
        message: What its status says when something went wrong.
        rows_wanted: How many rows a state given by hand shall keep, or None for what was due.
        published: Whether its results have become a dataset.
        tally: What was done, once they have.
        removed: When it was asked to be deleted, if it was.
    """

    id: str
    created: Moment
    created_ns: int
    updated_ns: int
    model: str
    input_dataset: str
    output_dataset: str
    declared_rows: int
    fields: dict[str, Any]
    parameters: dict[str, Any]
    timeline: JobTimeline
    message: str = ""
    rows_wanted: int | None = None
    published: bool = False
    tally: Tally | None = None
    removed: Moment | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON, for the disk."""
        return {**asdict(self), "tally": None if self.tally is None else list(self.tally)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> JobRecord:
        """Read a record: the inverse of `to_json`."""
        timeline = value.pop("timeline")
        tally = value.pop("tally")
        removed = value.pop("removed", None)
        return cls(
            created=Moment(**value.pop("created")),
            timeline=JobTimeline(pace=Pace(**timeline.pop("pace")), **timeline),
            tally=Tally(*tally) if tally else None,
            removed=Moment(**removed) if removed else None,
            **value,
        )
