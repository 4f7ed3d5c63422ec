"""Doing the work of jobs: in threads, block by block, while the server goes on answering."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from oumi_fireworks.emulator.settings import Settings
from oumi_fireworks.emulator.state.clock import Clock
from oumi_fireworks.emulator.state.records import JobRecord, Tally
from oumi_fireworks.emulator.state.store import Store
from oumi_fireworks.emulator.toy.markers import Prompt, messages_in, number_in, prompt_in
from oumi_fireworks.emulator.toy.model import FAILURES, complete
from oumi_fireworks.emulator.wire.chat_request import BadRequest
from oumi_fireworks.emulator.work.output_rows import RowFailure, RowOutput, marked_output, output_of
from oumi_fireworks.emulator.work.rows import request_of_row
from oumi_fireworks.emulator.work.scan import Block, Stopped, keys_in, row_key, scan
from oumi_fireworks.emulator.work.spool import ERRORS, Spool

_log = logging.getLogger(__name__)

_REMEMBERED_JOBS = 64
"""Jobs that have ended whose rows are kept at hand."""


class Marked(NamedTuple):
    """A completion whose output the prompt's markers have a say in."""

    completion: dict[str, Any]
    markers: dict[str, str]


Answer = dict[str, Any] | Marked | RowFailure
Answerer = Callable[[Sequence[dict[str, Any]], str], Sequence[Answer]]
"""From the requests of a block and the job's model to their answers, in order."""


_BAD_ANSWER = "This is not what was asked for."


class Flaky:
    """Counts how often prompts marked `[[flaky n]]`, `[[bad n]]` or `[[nth]]` have been tried."""

    def __init__(self) -> None:
        self._tries: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def fails(self, prompt: Prompt) -> bool:
        """Return whether this try of a prompt is one that fails."""
        if "flaky" not in prompt.markers:
            return False
        return self._is_among("flaky", number_in(prompt.markers["flaky"], 1), prompt)

    def for_this_try(self, prompt: Prompt) -> Prompt:
        """Return the prompt as it is to be answered this time: badly at first, if it asks so."""
        if "bad" in prompt.markers:
            count, _, text = prompt.markers["bad"].partition(" ")
            if self._is_among("bad", number_in(count, 1), prompt):
                return prompt._replace(markers={"reply": text or _BAD_ANSWER})
        if "nth" in prompt.markers:
            numbered = f"{self._tries_of('nth', prompt)}: {prompt.text}"
            return prompt._replace(markers={"reply": numbered})
        return prompt

    def _is_among(self, marker: str, first: int, prompt: Prompt) -> bool:
        """Count a try, and tell whether it is among the first ones."""
        return self._tries_of(marker, prompt) <= first

    def _tries_of(self, marker: str, prompt: Prompt) -> int:
        """Count a try, and return how many there were."""
        with self._lock:
            self._tries[marker, prompt.text] += 1
            return self._tries[marker, prompt.text]


class Runner:
    """Does the rows of jobs as soon as the jobs exist; the job's timeline says when that shows.

    Args:
        store: Where jobs and datasets are.
        clock: Tells the time.
        settings: Limits.
        flaky: Prompts that fail a few times.
        upstream: Answers instead of the toy model, if given.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Settings,
        flaky: Flaky,
        upstream: Answerer | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._flaky = flaky
        self._upstream = upstream
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="emulator-job")
        self._spools: dict[str, Spool] = {}
        self._finished: dict[str, Spool] = {}
        self._work: dict[str, Future[None]] = {}
        self._stopping = threading.Event()

    def start(self, job_id: str) -> None:
        """Begin with a job, or go on with it where an earlier process left off."""
        spool = Spool(self._store.job_folder(job_id), self._settings.result_file_bytes)
        self._spools[job_id] = spool
        if not self._stopping.is_set():
            self._work[job_id] = self._pool.submit(self._run_and_log, job_id, spool)

    def spool(self, job_id: str) -> Spool:
        """Return what a job that was started has written so far."""
        return self._spools[job_id]

    def tally_at(self, job_id: str, rows: int) -> Tally:
        """Return what was done of a job at `rows` rows at most; nothing if long forgotten."""
        spool = self._spools.get(job_id) or self._finished.get(job_id)
        return spool.at(rows).tally if spool else Tally()

    def catch_up(self) -> None:
        """Wait until no job has anything left to do. Not for the loop's thread."""
        wait(list(self._work.values()))

    def forget(self, job_id: str) -> None:
        """Let go of a job; how it went is remembered for a while, for reads that lag."""
        self._work.pop(job_id, None)
        spool = self._spools.pop(job_id, None)
        if spool is not None:
            spool.close()
            self._finished[job_id] = spool
            if len(self._finished) > _REMEMBERED_JOBS:
                del self._finished[next(iter(self._finished))]

    def stop(self) -> None:
        """Let the work end after the blocks that are under way, and keep what was done."""
        self._stopping.set()
        for spool in list(self._spools.values()):
            spool.close()

    def join(self) -> None:
        """Wait until all work has ended, once it was stopped."""
        self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run_and_log(self, job_id: str, spool: Spool) -> None:
        try:
            self._run(self._store.jobs[job_id], spool)
        except Stopped:
            pass
        except Exception:
            if not spool.closed:
                _log.exception("job %s broke down", job_id)
                self._refuse(job_id, "internal error, see the emulator's log")

    def _run(self, job: JobRecord, spool: Spool) -> None:
        folder = self._store.dataset_files(job.input_dataset)
        dataset = self._store.datasets[job.input_dataset]
        files = [folder / file.name for file in sorted(dataset.files, key=lambda f: f.name)]
        done = self._finished_earlier(job)
        try:
            blocks, rows = scan(files, done, lambda: spool.closed)
        except BadRequest as error:
            self._refuse(job.id, error.message)
            return
        # A time that an earlier process has noted stands, so that no state is gone back to.
        self._note(job.id, "checked", rows=rows)
        random.Random(job.id).shuffle(blocks)
        answer, overflowed = self._upstream or self._ask_toy, False
        for index in range(spool.blocks, len(blocks)):
            if spool.last.output_size > self._settings.max_output_bytes:
                overflowed = True
                break
            block = self._do_block(job, blocks[index], done, answer, seed=f"{job.id}/{index}")
            if not spool.commit(*block):
                return
        self._note(job.id, "worked", overflowed=overflowed)

    def _do_block(
        self, job: JobRecord, block: Block, done: set[int], answer: Answerer, seed: str
    ) -> tuple[bytes, bytes, Tally]:
        rows = [row for row in _rows_of(block) if row_key(row["custom_id"]) not in done]
        system = job.fields.get("systemPrompt")
        requests = [_request_of(row["body"], job.parameters, system) for row in rows]
        good = [request for request in requests if not isinstance(request, RowFailure)]
        answers = iter(answer(good, job.model))
        outputs = [
            _output(row["custom_id"], each if isinstance(each, RowFailure) else next(answers))
            for row, each in zip(rows, requests, strict=True)
        ]
        random.Random(seed).shuffle(outputs)
        return (
            b"".join([output.results for output in outputs]),
            b"".join([output.errors for output in outputs]),
            Tally(*map(sum, zip(*[output.tally for output in outputs], strict=True))),
        )

    def _ask_toy(self, requests: Sequence[dict[str, Any]], model: str) -> list[Answer]:
        created = int(self._clock.now())
        return [self._ask_toy_once(request, model, created) for request in requests]

    def _ask_toy_once(self, request: dict[str, Any], model: str, created: int) -> Answer:
        prompt = prompt_in(messages_in(request))
        if self._flaky.fails(prompt):
            return RowFailure("the prompt asked to fail at first", 503)
        try:
            asked = self._flaky.for_this_try(prompt)
            completion = complete(request, asked, model, created)
        except FAILURES as error:
            return RowFailure(f"the toy model cannot do this: {error}", 400)
        return Marked(completion, prompt.markers) if prompt.markers else completion

    def _finished_earlier(self, job: JobRecord) -> set[int]:
        """Return the keys of the rows that the jobs before this one in its chain have answered."""
        done: set[int] = set()
        earlier = job.fields.get("continuedFromJobName")
        while earlier:
            before = self._store.jobs.get(earlier.rpartition("/")[2])
            if before is None:
                break
            folder = self._store.dataset_files(before.output_dataset)
            for path in sorted(folder.glob("*")):
                if path.name != ERRORS:  # what failed is run again
                    done.update(keys_in(path))
            earlier = before.fields.get("continuedFromJobName")
        return done

    def _refuse(self, job_id: str, message: str) -> None:
        with self._store.lock:
            job = self._store.jobs.get(job_id)
            if job is not None:
                elapsed = self._clock.elapsed(job.created)
                timeline = replace(job.timeline, refused=True, checked=elapsed)
                self._store.put_job(replace(job, timeline=timeline, message=message))

    def _note(self, job_id: str, what: str, **changes: Any) -> None:
        """Note that something has happened to a job, unless that was noted already."""
        with self._store.lock:
            job = self._store.jobs.get(job_id)
            if job is not None and getattr(job.timeline, what) is None:
                changes[what] = self._clock.elapsed(job.created)
                self._store.put_job(replace(job, timeline=replace(job.timeline, **changes)))


def _request_of(
    body: dict[str, Any], parameters: dict[str, Any], system_prompt: str | None
) -> dict[str, Any] | RowFailure:
    """Return the request of a row, or how it fails: alone, as it would online."""
    try:
        return request_of_row(body, parameters, system_prompt)
    except BadRequest as error:
        return RowFailure(error.message, 400)


def _output(custom_id: str, answer: Answer) -> RowOutput:
    if isinstance(answer, Marked):
        return marked_output(custom_id, answer.markers, answer.completion)
    return output_of(custom_id, answer)


def _rows_of(block: Block) -> list[dict[str, Any]]:
    with block.path.open("rb") as file:
        file.seek(block.offset)
        data = file.read(block.size)
    return [orjson.loads(line) for line in data.split(b"\n") if line and not line.isspace()]
