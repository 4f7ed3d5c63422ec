"""One measurement of the batch benchmark, in a fresh process that does nothing else.

Reads a task as JSON from its arguments and prints what it measured as one line of JSON.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from batch_input import FAIL, most_tokens, texts
from oumi.core.configs import GenerationParams, ModelParams, RemoteParams
from oumi.core.types.conversation import Conversation, Message, Role
from oumi.inference import FireworksInferenceEngine as StockEngine

from oumi_fireworks import FireworksInferenceEngine

T = TypeVar("T")

MODEL = ModelParams(model_name="accounts/fireworks/models/toy-chat")
SYSTEM = "Answer as somebody who has lived by the river would. " * 58
"""A system message of 3 KB."""


class RedirectedStockEngine(StockEngine):
    """Oumi's own engine; its control plane is a constant, which alone is changed here."""

    def _get_batch_api_base_url(self) -> str:
        return f"{os.environ['FIREWORKS_BASE_URL']}/v1/accounts/{self._get_account_id()}"


def make_engine(task: dict[str, Any]) -> Any:
    """Make the engine that is measured, ``ours`` or ``stock``."""
    generation = GenerationParams(max_new_tokens=most_tokens(task["size"]))
    if task["engine"] == "ours":
        options = {"hoist_system_prompt": task["hoist"]} if task["hoist"] else {}
        return FireworksInferenceEngine(MODEL, generation_params=generation, **options)
    url = f"{os.environ['FIREWORKS_BASE_URL']}/inference/v1/chat/completions"
    remote = RemoteParams(api_url=url)
    return RedirectedStockEngine(MODEL, generation_params=generation, remote_params=remote)


def conversations(task: dict[str, Any]) -> list[Conversation]:
    """Make conversations of one message each, and a system message where sharing is measured.

    Where one is to fail, it is the first.
    """
    head = [Message(role=Role.SYSTEM, content=SYSTEM)] if task["hoist"] else []
    made = [
        Conversation(messages=[*head, Message(role=Role.USER, content=text)])
        for text in texts(task["rows"], task["size"])
    ]
    if task["one_fails"]:
        made[0] = Conversation(messages=[Message(role=Role.USER, content=FAIL)])
    return made


def submit(task: dict[str, Any]) -> dict[str, Any]:
    """Measure ``infer_batch``: its memory is what is in use above what was in use before."""
    engine = make_engine(task)
    given = conversations(task)
    batch_id, measured = measure(lambda: engine.infer_batch(given))
    return {**measured.times, "memory": measured.peak - measured.before, "batch_id": batch_id}


def results(task: dict[str, Any]) -> dict[str, Any]:
    """Measure ``get_batch_results``: its memory is what is in use above what it returns."""
    engine = make_engine(task)
    given = conversations(task)
    answered, measured = measure(lambda: engine.get_batch_results(task["batch_id"], given))
    memory = measured.peak - settled_memory()
    require_answers(given, answered)
    return {**measured.times, "memory": memory}


def partial(task: dict[str, Any]) -> dict[str, Any]:
    """Measure ``get_batch_results_partial`` in the same way."""
    engine = make_engine(task)
    given = conversations(task)
    found, measured = measure(lambda: engine.get_batch_results_partial(task["batch_id"], given))
    memory = measured.peak - settled_memory()
    # The one of Oumi gives them in the order of the file.
    require_answers(
        given, [answered for _, answered in sorted(found.successful, key=itemgetter(0))]
    )
    return {**measured.times, "memory": memory}


def retry(task: dict[str, Any]) -> dict[str, Any]:
    """Measure ``retry_batch``, of a batch with one row that failed."""
    engine = make_engine(task)
    given = conversations(task)
    _, measured = measure(lambda: engine.retry_batch(task["batch_id"], given))
    return {**measured.times, "memory": measured.peak - measured.before}


def require_answers(given: list[Conversation], answered: list[Conversation]) -> None:
    """Check that each question has its answer, which is the question itself, in its place."""
    for before, after in zip(given, answered, strict=True):
        if after.messages[-1].content != before.messages[-1].content:
            raise RuntimeError("An answer is missing, cut short, or another row's.")


@dataclass(frozen=True)
class Measured:
    """What an action took.

    Attributes:
        times: ``seconds``, and ``cpu`` seconds of this process.
        before: Bytes in use before.
        peak: Bytes in use at the most.
    """

    times: dict[str, float]
    before: int
    peak: int


def measure(action: Callable[[], T]) -> tuple[T, Measured]:
    """Run something and measure its time and its peak of memory."""
    before = settled_memory()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    cpu, begun = time.process_time(), time.perf_counter()
    result = action()
    times = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
    return result, Measured(times, before, memory_in("VmHWM"))


def settled_memory() -> int:
    """Bytes in use once all that is not needed has been given back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return memory_in("VmRSS")


def memory_in(field: str) -> int:
    """Read one of the kernel's figures about this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def main() -> None:
    """Do the task."""
    task = json.loads(sys.argv[1])
    phases = {"submit": submit, "results": results, "partial": partial, "retry": retry}
    print(json.dumps(phases[task["phase"]](task)))


if __name__ == "__main__":
    main()
