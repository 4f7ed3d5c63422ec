"""What is said after Ctrl-C: what goes on, what is kept, how to go on with it, how to stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oumi_fireworks.batch import Stage
from oumi_fireworks.grammar import number

if TYPE_CHECKING:
    from oumi_fireworks.batch.manifest import Attempt


def run_interrupted(attempt: Attempt | None) -> str:
    """Say it of a batch run, which the same command or call goes on with.

    Args:
        attempt: The attempt at work; None before there is one.
    """
    if attempt is None:
        return submission_interrupted(None)
    if attempt.stage is Stage.PLANNED:
        return (
            f"Interrupted while batch {attempt.batch_id} was being submitted. Run the same again "
            f"to go on with it, or {_stop(attempt.batch_id)}."
        )
    return watch_interrupted(attempt.batch_id)


def watch_interrupted(batch_id: str) -> str:
    """Say it of a batch that the same command or call goes on to wait for."""
    return f"{_goes_on(batch_id)} Run the same again to wait for it, or {_stop(batch_id)}."


def submission_interrupted(batch_id: str | None, *, has_key: bool = False) -> str:
    """Say it of a batch that the same command would submit once more, unless it has a key.

    Args:
        batch_id: The batch; None where none was submitted, or not all of it.
        has_key: Whether the same command goes on with what was made.
    """
    if batch_id is None and has_key:
        return (
            "Interrupted while the batch was being submitted. Run the same again, with the same "
            "key, to go on with it."
        )
    if batch_id is None:
        return "Interrupted. Nothing was submitted."
    return (
        f"{_goes_on(batch_id)} Wait for it with `oumi-fireworks batch status {batch_id} --watch`, "
        f"or {_stop(batch_id)}."
    )


def online_interrupted(answered: int, rows: int, *, is_kept: bool) -> str:
    """Say it of online inference.

    Args:
        answered: Rows that were answered.
        rows: Rows in all.
        is_kept: Whether the answers are on the disk.
    """
    fate = (
        "They are kept: run the same again to go on with the rest."
        if is_kept
        else "Without an output_path none of them is kept."
    )
    return f"Interrupted with {answered:,} of {number(rows, 'row')} answered. {fate}"


def _goes_on(batch_id: str) -> str:
    return f"Interrupted. Batch {batch_id} goes on at Fireworks."


def _stop(batch_id: str) -> str:
    return f"stop it with `oumi-fireworks batch cancel {batch_id}`"
