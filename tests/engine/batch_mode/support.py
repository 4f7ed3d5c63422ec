"""What the tests of batch mode have in common."""

from __future__ import annotations

import logging
import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks.emulator import Emulator, Pace
from tests.engine.conftest import MODEL, read

STANDSTILL = Pace(running=80_000)
"""Jobs begin to run, and then go on for longer than any test."""


def to(output: Path | None, model: str = MODEL, **generation: Any) -> InferenceConfig | None:
    """What tells ``infer`` where to put the answers; None where it is to hand them back only."""
    if output is None:
        return None
    return InferenceConfig(
        model=ModelParams(model_name=model),
        generation=GenerationParams(**generation),
        output_path=str(output),
    )


def scratch_rows(output: Path) -> int:
    return sum(len(read(path)) for path in (output.parent / "scratch").glob("*"))


def uploads(emulator: Emulator) -> list[int]:
    """The number of rows of each upload, oldest first."""
    return [dataset.rows for dataset in emulator.datasets if dataset.id.endswith("-in")]


def job_ids(emulator: Emulator) -> list[str]:
    return [job.id for job in emulator.jobs]


def folder_of(output: Path) -> Path:
    return Path(f"{output}.run")


def cached_runs(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "oumi-fireworks" / "runs").glob("*/run.json"))


def assert_answers(conversations: list[Conversation]) -> None:
    for index, conversation in enumerate(conversations):
        assert [str(message.role) for message in conversation.messages] == ["user", "assistant"]
        asked, answered = (str(message.content) for message in conversation.messages)
        assert f"number {index}?" in asked
        assert f"number {index}?" in answered


@contextmanager
def at_first(line: str, act: Callable[[str], object]) -> Iterator[None]:
    """Do something when the emulator has answered a request of a kind for the first time.

    Args:
        line: A regular expression for ``METHOD PATH``, whose group tells requests apart.
        act: Called with that group, once for each of its values, on a thread of its own.
    """
    seen: set[str] = set()
    due: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    errors: list[BaseException] = []

    class Ears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            match = re.match(line, record.getMessage())
            if match and match[1] not in seen:
                seen.add(match[1])
                due.put(match[1])

    def work() -> None:
        try:
            for name in iter(due.get, None):
                act(name)
        except BaseException as error:
            errors.append(error)

    logger = logging.getLogger("oumi_fireworks.emulator.app")
    ears, level, thread = Ears(), logger.level, threading.Thread(target=work)
    logger.addHandler(ears)
    logger.setLevel(logging.INFO)
    thread.start()
    try:
        yield
    finally:
        logger.removeHandler(ears)
        logger.setLevel(level)
        due.put(None)
        thread.join()
    assert not errors


def at_first_look(act: Callable[[str], object]) -> Any:
    """Do something, given the job's id, when the client first looks at a job."""
    return at_first(r"GET .*/batchInferenceJobs/([^/:? ]+) ", act)


def assert_no_chat(emulator: Emulator) -> None:
    assert not emulator.requests_to("POST", "chat/completions")
