"""Oumi's scratch file: what it finds there, ``infer`` does not ask for again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch import FileMark
from oumi_fireworks.errors import SpoolError
from oumi_fireworks.files import replacing

_ADVICE = (
    "The answers are safe in the run's folder. Make room and do the same again: nothing is paid "
    "twice."
)


def spending_of(scratch: str | Path) -> Path:
    """Return where a run under ``max_cost`` writes down what it spends: beside its scratch file."""
    return Path(f"{scratch}.spent")


def save_to_scratch(
    path: Path,
    conversations: Sequence[Conversation],
    before_replacing: Callable[[FileMark], None] = lambda mark: None,
) -> None:
    """Add conversations to Oumi's scratch file, all or none.

    Args:
        path: The scratch file.
        conversations: Answered ones; Oumi no longer asks for those that it finds there.
        before_replacing: Told about the file when it is complete, before it is in its place.

    Raises:
        SpoolError: If the disk does not take them; the file stands as it was.
    """
    if not conversations:
        return
    with replacing(path, advice=_ADVICE, private=True, error=SpoolError) as file:
        if path.exists():
            with path.open("rb") as before:
                shutil.copyfileobj(before, file)
        for conversation in conversations:
            file.write(json.dumps(conversation.to_dict()).encode() + b"\n")
        file.flush()
        before_replacing(FileMark.of(path, file.fileno()))
