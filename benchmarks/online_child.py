"""One measurement of the online benchmark, in a fresh process that does nothing else.

Reads a task as JSON from its only argument and prints what it measured as one line of JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

MODEL = "accounts/fireworks/models/toy-chat"
LONGEST_ANSWER = 64  # tokens
RETRIES = 5  # Oumi's default, given to every client that has retries
QUESTION = "What is the capital of {}? Say it in a sentence or two, and add what it is known for."


@dataclass
class Task:
    """What to measure.

    Attributes:
        client: One of `CLIENTS`.
        root: The server.
        key: The key.
        rows: How many requests.
        workers: Requests at once; None to leave it to a client that can choose.
        stream: Whether the pump streams.
    """

    client: str
    root: str
    key: str
    rows: int
    workers: int | None
    stream: Literal["auto", "always", "never"] = "auto"

    @property
    def url(self) -> str:
        """Where chat completions are."""
        return f"{self.root}/inference/v1/chat/completions"


@dataclass
class Result:
    """What came of it.

    Attributes:
        answered: Rows with an answer.
        extra: What else a client reports.
    """

    answered: int
    extra: dict[str, Any]


def text(row: int) -> str:
    """Return a question, of which no two are alike."""
    return QUESTION.format(f"country number {row:06d}")


def body(row: int) -> dict[str, Any]:
    """Return a request."""
    messages = [{"role": "user", "content": text(row)}]
    return {"model": MODEL, "messages": messages, "max_tokens": LONGEST_ANSWER}


def bare(task: Task) -> Callable[[], Result]:
    """Send with a plain aiohttp loop without retries: as little work as there can be."""
    import aiohttp

    async def run() -> Result:
        answered = 0
        rows = iter(range(task.rows))
        headers = {"Authorization": f"Bearer {task.key}"}

        async def work(session: aiohttp.ClientSession) -> None:
            nonlocal answered
            for row in rows:
                async with session.post(task.url, json=body(row), headers=headers) as response:
                    answer = await response.json()
                answered += "choices" in answer

        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(work(session) for _ in range(task.workers or 1)))
        return Result(answered, {})

    return lambda: asyncio.run(run())


def pump(task: Task) -> Callable[[], Result]:
    """Send with the pump of this package by itself, without Oumi's conversations."""
    from oumi_fireworks.loop import BackgroundLoop
    from oumi_fireworks.online import Pump, PumpSettings

    loop = BackgroundLoop()
    settings = PumpSettings(
        url=task.url,
        headers={"Authorization": f"Bearer {task.key}"},
        workers=task.workers,
        stream=task.stream,
    )
    answered = 0

    def take(_: int, outcome: object) -> None:
        nonlocal answered
        answered += isinstance(outcome, dict)

    def run() -> Result:
        requests = ((row, body(row)) for row in range(task.rows))
        report = loop.run(Pump(settings).run(requests, take))
        return Result(answered, {"refusals_met": report.refusals})

    return run


def ours(task: Task) -> Callable[[], Result]:
    """Run this package's engine."""
    from oumi_fireworks import FireworksInferenceEngine

    return _engine(FireworksInferenceEngine, task)


def stock(task: Task) -> Callable[[], Result]:
    """Oumi's own engine for Fireworks."""
    from oumi.inference import FireworksInferenceEngine

    return _engine(FireworksInferenceEngine, task)


def _engine(engine_class: Any, task: Task) -> Callable[[], Result]:
    from oumi.core.configs import GenerationParams, ModelParams, RemoteParams
    from oumi.core.types.conversation import Conversation, Message, Role

    remote = RemoteParams(api_url=task.url, api_key=task.key, max_retries=RETRIES)
    if task.workers is not None:
        remote.num_workers = task.workers
    engine = engine_class(
        ModelParams(model_name=MODEL),
        generation_params=GenerationParams(max_new_tokens=LONGEST_ANSWER),
        remote_params=remote,
    )
    conversations = [
        Conversation(messages=[Message(role=Role.USER, content=text(row))])
        for row in range(task.rows)
    ]

    def run() -> Result:
        result = engine.infer_partial(conversations)
        errors = sorted({detail.error_message[:120] for detail in result.failures.values()})
        kept.append((conversations, result))
        return Result(len(result.successful), {"errors": errors[:3]})

    kept: list[object] = []  # input and output stay in memory, as they do with a caller
    return run


def openai(task: Task) -> Callable[[], Result]:
    """Send with the `openai` client under a semaphore."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(
        base_url=f"{task.root}/inference/v1", api_key=task.key, max_retries=RETRIES
    )
    return _sdk(client, task)


def fireworks(task: Task) -> Callable[[], Result]:
    """Send with the `fireworks-ai` client under a semaphore."""
    from fireworks import AsyncFireworks

    client = AsyncFireworks(base_url=task.root, api_key=task.key, max_retries=RETRIES)
    return _sdk(client, task)


def litellm(task: Task) -> Callable[[], Result]:
    """Send with `litellm` under a semaphore."""
    import litellm

    def create(**body: Any) -> Awaitable[Any]:
        body["model"] = f"fireworks_ai/{MODEL}"
        base = f"{task.root}/inference/v1"
        answer: Awaitable[Any] = litellm.acompletion(
            **body, api_base=base, api_key=task.key, num_retries=RETRIES
        )
        return answer

    return _under_semaphore(create, task)


def _sdk(client: Any, task: Task) -> Callable[[], Result]:
    return _under_semaphore(client.chat.completions.create, task)


def _under_semaphore(create: Callable[..., Awaitable[Any]], task: Task) -> Callable[[], Result]:
    async def run() -> Result:
        semaphore = asyncio.Semaphore(task.workers or 1)
        errors: set[str] = set()

        async def ask(row: int) -> bool:
            async with semaphore:
                try:
                    answer = await create(**body(row))
                except Exception as error:
                    errors.add(f"{type(error).__name__}: {error}"[:120])
                    return False
            return bool(answer.choices)

        answered = sum(await asyncio.gather(*(ask(row) for row in range(task.rows))))
        return Result(answered, {"errors": sorted(errors)[:3]})

    return lambda: asyncio.run(run())


CLIENTS = {
    "bare": bare,
    "pump": pump,
    "ours": ours,
    "stock": stock,
    "openai": openai,
    "fireworks": fireworks,
    "litellm": litellm,
}


class Memory:
    """Watches the resident memory of this process."""

    def __init__(self) -> None:
        self.most = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.most = max(self.most, resident())


def resident() -> float:
    """Resident memory in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def settled() -> float:
    """Resident memory in MB without what is free."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident()


def cpu() -> float:
    """CPU seconds of this process, its threads and the kernel on its behalf."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Run the task."""
    task = Task(**json.loads(sys.argv[1]))
    run = CLIENTS[task.client](task)
    before = settled()
    with Memory() as memory:
        cpu_before, began = cpu(), time.perf_counter()
        result = run()
        seconds, cpu_seconds = time.perf_counter() - began, cpu() - cpu_before
    measured = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "answered": result.answered,
        "memory_before": before,
        "memory_most": memory.most,
        "memory_after": settled(),
        **result.extra,
    }
    print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
