"""``mode: batch``: Oumi's ``infer`` through the Batch API, by way of a run that survives crashes.

A run ends when its rows are where the next ``infer`` finds them: in Oumi's scratch file. Killed at
any moment before, the same ``infer`` picks the run up again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson
from oumi.core.inference.base_inference_engine import (
    BatchResult,
    FailureDetail,
    InferenceErrorType,
)
from oumi.core.inference.progress_reporter import ProgressFileReporter
from oumi.core.types.conversation import Conversation

from oumi_fireworks.batch import BatchRun, Snapshot, Stage
from oumi_fireworks.errors import SpoolError

logger = logging.getLogger(__name__)


def run_folder(output_path: str | None, run_dir: str | None, dataset_key: str) -> Path:
    """Return where a run keeps its manifest and files.

    Args:
        output_path: The output of ``infer``; the folder is beside it.
        run_dir: The option that names another place.
        dataset_key: Tells inputs apart where there is no output to stand beside.
    """
    if output_path is not None and run_dir is None:
        return Path(f"{output_path}.run")
    if output_path is not None:
        dataset_key = f"{Path(output_path).name}-{_short_hash(str(Path(output_path).resolve()))}"
    if run_dir is not None:
        return Path(run_dir) / dataset_key
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "oumi-fireworks" / "runs" / dataset_key


def dataset_key(dataset_hash: str | None, settings: object) -> str:
    """Return a name for a run without an output: the same input and settings, the same name.

    Args:
        dataset_hash: Oumi's hash of the conversations, with a random part that is left out.
        settings: What shapes the requests, as JSON values.
    """
    stable = (dataset_hash or "").partition("_")[0]
    return _short_hash(stable + orjson.dumps(settings, option=orjson.OPT_SORT_KEYS).decode())


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_to_scratch(path: Path, conversations: Sequence[Conversation]) -> None:
    """Add conversations to Oumi's scratch file, all or none.

    Args:
        path: The scratch file.
        conversations: Answered ones; Oumi no longer asks for those that it finds there.

    Raises:
        SpoolError: If the disk does not take them; the file stands as it was.
    """
    if not conversations:
        return
    temporary = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            if path.exists():
                with path.open("rb") as before:
                    shutil.copyfileobj(before, file)
            for conversation in conversations:
                file.write(json.dumps(conversation.to_dict()).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise SpoolError(
            f"Cannot write the answers to {path}: {error.strerror or error}. They are safe in the "
            "run's folder. Make room and do the same again: nothing is paid twice."
        ) from error


def to_outcomes(partial: BatchResult, rows: int) -> list[Conversation | FailureDetail]:
    """Align a batch's result with its input, as ``infer_partial`` wants it."""
    answered = dict(partial.successful)
    return [
        answered[index]
        if index in answered
        else FailureDetail(
            partial.error_messages[index],
            is_retryable=True,
            error_type=InferenceErrorType.API_STATUS,
        )
        for index in range(rows)
    ]


class ReporterFeed:
    """Passes a batch's progress on to Oumi's progress file, whose counters only go up.

    Rows are reported as failed at the end only: before, they may be run again.
    """

    def __init__(self, reporter: ProgressFileReporter | None) -> None:
        self._reporter = reporter
        self._succeeded: dict[str, int] = {}
        self._completed = 0

    def saw(self, snapshot: Snapshot) -> None:
        """Report what has been done since the last look."""
        # A further batch has the open rows only: its successes come on top.
        self._succeeded[snapshot.batch_id] = snapshot.progress.succeeded
        self._complete(sum(self._succeeded.values()))

    def ended(self, rows: int, completed: int) -> None:
        """Report the truth at the end: whatever is not completed has failed."""
        self._complete(completed)
        if self._reporter is not None and rows > self._completed:
            self._reporter.record_failed(rows - self._completed)

    def _complete(self, completed: int) -> None:
        if self._reporter is not None and completed > self._completed:
            self._reporter.record_completed(completed - self._completed)
            self._completed = completed


def log_interruption(run: BatchRun) -> None:
    """Say after Ctrl-C what goes on, how to come back to it, and how to stop it."""
    attempt = run.current
    if attempt is None:
        logger.warning("Interrupted. Nothing was submitted.")
        return
    if attempt.stage is Stage.PLANNED:
        said = "Interrupted while batch %s was being submitted. Run the same again to go on with it"
    else:
        said = (
            "Interrupted. Batch %s goes on at Fireworks. Run the same again to pick it up where "
            "it is"
        )
    logger.warning(
        f"{said}, or stop it with `oumi-fireworks batch cancel %s`.",
        attempt.batch_id,
        attempt.batch_id,
    )
