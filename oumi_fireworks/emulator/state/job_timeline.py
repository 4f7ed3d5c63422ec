"""A job's life as a pure function of the time that has passed."""

from __future__ import annotations

from dataclasses import dataclass, replace

DAY = 24 * 60 * 60.0
"""Seconds after which the service gives up on a job that asks for no other window."""

NEVER = 1e12
"""A number of seconds that nobody waits for."""

ENDED = frozenset({"COMPLETED", "FAILED", "EXPIRED", "EARLY_STOPPED", "CANCELLED", "DELETED"})
"""States that nothing follows (without their JOB_STATE_ prefix)."""

STATES = ENDED | {
    "UNSPECIFIED",
    "VALIDATING",
    "CREATING_INPUT_DATASET",
    "PENDING",
    "CREATING",
    "RE_QUEUEING",
    "IDLE",
    "PAUSED",
    "RUNNING",
    "WRITING_RESULTS",
    "CANCELLING",
    "DELETING",
    "DELETING_CLEANING_UP",
    "ARCHIVED",
    "FAILED_CLEANING_UP",
    "EXPIRED_CLEANING_UP",
    "CREATING_DEPENDENCIES",
}
"""Every state that a job can be in (without the JOB_STATE_ prefix)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the stages of a job take, in seconds of its own life.

    The defaults add up to the eight minutes that a job of a few rows takes on the service.

    Args:
        validating: Until the input has been checked.
        pending: Waiting for capacity; `NEVER` for a job that never gets any.
        creating: Until it runs.
        running: Running, whatever the number of rows.
        per_row: Running, for each row in addition.
        writing: Until the results can be downloaded.
        stopping: Cancelling, or cleaning up after a deletion.
        uploading: From the end of an upload until its dataset is READY.
        updating: Between the moments at which the service updates a job's state and progress;
            in between it shows what was. Moving the clock by hand updates at once.
    """

    validating: float = 30.0
    pending: float = 120.0
    creating: float = 180.0
    running: float = 120.0
    per_row: float = 0.01
    writing: float = 30.0
    stopping: float = 10.0
    uploading: float = 2.0
    updating: float = 60.0


@dataclass(frozen=True, slots=True)
class JobTimeline:
    """All that decides a job's state, besides the time. Times are seconds of its life.

    Args:
        pace: How long its stages take.
        window: How long it may take until it expires.
        rows: Rows that it has to do, once they have been counted.
        checked: When the check of its input really ended.
        refused: Whether that check found an error.
        worked: When its last row was really done.
        overflowed: Whether it stopped early at the limit for output.
        cancelled: When it was cancelled.
        deleted: When it was deleted.
        forced: A state that it was put into by hand, and stays in.
        forced_at: When that was.
    """

    pace: Pace
    window: float = DAY
    rows: int = 0
    checked: float | None = None
    refused: bool = False
    worked: float | None = None
    overflowed: bool = False
    cancelled: float | None = None
    deleted: float | None = None
    forced: str | None = None
    forced_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a job is in its life. Times are seconds of its life.

    Args:
        state: Without the JOB_STATE_ prefix.
        since: When it came into this state.
        due: Share of its rows that is due by now, between 0 and 1.
        checked: When it was found valid, if it was.
        started: When it began to run, if it did.
        ended: When it ended, if it did.
    """

    state: str
    since: float
    due: float = 0.0
    checked: float | None = None
    started: float | None = None
    ended: float | None = None


def position(timeline: JobTimeline, elapsed: float) -> Position:
    """Return where a job is `elapsed` seconds into its life."""
    if timeline.deleted is not None and elapsed >= timeline.deleted:
        return _stopping(timeline, elapsed, timeline.deleted, "DELETING_CLEANING_UP", "DELETED")
    if timeline.forced is not None:
        before = _undisturbed(timeline, timeline.forced_at)
        if timeline.forced == "COMPLETED":
            before = replace(before, due=1.0)
        ended = timeline.forced_at if timeline.forced in ENDED else None
        return _moved(before, timeline.forced, timeline.forced_at, ended)
    if _is_cancelled(timeline, elapsed):
        return _stopping(timeline, elapsed, timeline.cancelled or 0, "CANCELLING", "CANCELLED")
    return _undisturbed(timeline, elapsed)


def _is_cancelled(timeline: JobTimeline, elapsed: float) -> bool:
    """Return whether it was cancelled by then, and not too late."""
    at = timeline.cancelled
    return at is not None and elapsed >= at and _undisturbed(timeline, at).ended is None


def _moved(before: Position, state: str, since: float, ended: float | None) -> Position:
    return replace(before, state=state, since=since, ended=ended)


def _stopping(timeline: JobTimeline, elapsed: float, at: float, going: str, gone: str) -> Position:
    before = _undisturbed(timeline, at)
    end = at + timeline.pace.stopping
    if elapsed < end:
        return _moved(before, going, at, None)
    return _moved(before, gone, end, end)


def _undisturbed(timeline: JobTimeline, elapsed: float) -> Position:
    pace = timeline.pace
    if timeline.checked is None or elapsed < max(pace.validating, timeline.checked):
        return Position("VALIDATING", 0.0)
    checked = max(pace.validating, timeline.checked)
    if timeline.refused:
        return Position("FAILED", checked, ended=checked)
    pending_until = checked + pace.pending
    started = pending_until + pace.creating
    duration = pace.running + pace.per_row * timeline.rows
    window = timeline.window
    if started + duration + pace.writing > window and elapsed >= window:
        due = _share(window - started, duration)
        begun = started if started < window else None
        return Position("EXPIRED", window, due, checked, begun, ended=window)
    if elapsed < pending_until:
        return Position("PENDING", checked, checked=checked)
    if elapsed < started:
        return Position("CREATING", pending_until, checked=checked)
    if timeline.worked is None or elapsed < max(started + duration, timeline.worked):
        return Position("RUNNING", started, _share(elapsed - started, duration), checked, started)
    written = max(started + duration, timeline.worked) + pace.writing
    if elapsed < written:
        return Position("WRITING_RESULTS", written - pace.writing, 1.0, checked, started)
    state = "EARLY_STOPPED" if timeline.overflowed else "COMPLETED"
    return Position(state, written, 1.0, checked, started, ended=written)


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 1.0
