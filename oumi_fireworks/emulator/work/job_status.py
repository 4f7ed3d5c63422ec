"""Where jobs stand, and what follows when they end: the results become a dataset."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from oumi_fireworks.emulator.state.clock import Moment, timestamp
from oumi_fireworks.emulator.state.job_timeline import Position, position
from oumi_fireworks.emulator.state.private_files import FILE_MODE, make_folder
from oumi_fireworks.emulator.state.records import DatasetRecord, JobRecord, StoredFile, Tally
from oumi_fireworks.emulator.wire.names import check_file_name
from oumi_fireworks.emulator.work.emulator_state import EmulatorState, OutputWriter
from oumi_fireworks.emulator.work.spool import ERRORS


def position_of(emulator: EmulatorState, job: JobRecord, moment: Moment | None = None) -> Position:
    """Return where a job stood at a moment; None for now."""
    moment = moment or emulator.clock.moment()
    reached = position(job.timeline, _age_shown(emulator, job, moment))
    lasts = emulator.weather.deleting
    if job.removed is not None and lasts and moment.seconds < job.removed.seconds + lasts:
        return replace(reached, state="DELETING", ended=None)
    return reached


def _age_shown(emulator: EmulatorState, job: JobRecord, moment: Moment) -> float:
    """Return the age that a job shows: at its latest update, or when somebody moved it."""
    timeline = job.timeline
    age = emulator.clock.elapsed(job.created, moment)
    updated = emulator.clock.elapsed(job.created, moment, tick=timeline.pace.updating)
    forced_at = timeline.forced_at if timeline.forced is not None else None
    by_hand = (timeline.cancelled, timeline.deleted, forced_at)
    return max(updated, *(at for at in by_hand if at is not None and at <= age), 0.0)


def settle(emulator: EmulatorState) -> None:
    """Let everything happen that is due: jobs that ended publish, deleted ones go."""
    with emulator.store.lock:
        for job in list(emulator.store.jobs.values()):
            if job.published and job.timeline.deleted is None:
                continue
            now = position_of(emulator, job)
            if now.ended is not None and not job.published:
                job = _publish(emulator, job, now)
                emulator.runner.forget(job.id)
            if now.state == "DELETED":
                emulator.store.drop_job(job.id)


def job_json(
    emulator: EmulatorState, job: JobRecord, moment: Moment | None = None
) -> dict[str, Any]:
    """Return a job as the service showed it at a moment; None for now."""
    account = emulator.settings.account
    now = position_of(emulator, job, moment)
    return {
        "name": f"accounts/{account}/batchInferenceJobs/{job.id}",
        "displayName": "",
        "precision": "PRECISION_UNSPECIFIED",
        "continuedFromJobName": "",
        "systemPrompt": "",
        "maxJobDuration": None,
        **job.fields,
        "inferenceParameters": {"extraBody": "{}", **job.fields.get("inferenceParameters", {})},
        "createTime": timestamp(job.created_ns),
        "createdBy": "toy@emulator.invalid",
        "state": f"JOB_STATE_{now.state}",
        "status": {
            "code": _failure(job) if now.state == "FAILED" else "OK",
            "message": job.message,
        },
        "model": job.model,
        "inputDatasetId": f"accounts/{account}/datasets/{job.input_dataset}",
        "outputDatasetId": f"accounts/{account}/datasets/{job.output_dataset}",
        "updateTime": timestamp(max(job.updated_ns, emulator.clock.when(job.created, now.since))),
        "expireTime": timestamp(job.created_ns + int(job.timeline.window) * 1_000_000_000),
        "waitingOnCapacity": now.state == "PENDING",
        "placement": None,
        "lifecycle": _lifecycle(emulator, job, now),
        "jobProgress": _progress(emulator, job, now),
    }


def tally_of(emulator: EmulatorState, job: JobRecord, now: Position) -> Tally:
    """Return what shows as done of a job."""
    if job.tally is not None:
        return job.tally
    due = int(now.due * job.timeline.rows + 1e-9)
    return emulator.runner.tally_at(job.id, due)


def _failure(job: JobRecord) -> str:
    return "INVALID_ARGUMENT" if job.timeline.refused else "INTERNAL"


def _lifecycle(
    emulator: EmulatorState, job: JobRecord, now: Position
) -> dict[str, str | None] | None:
    if now.checked is None and now.ended is None:
        return None
    times = {"validatedTime": now.checked, "runStartTime": now.started, "endTime": now.ended}
    return {
        name: None if at is None else timestamp(emulator.clock.when(job.created, at))
        for name, at in times.items()
    }


def _progress(emulator: EmulatorState, job: JobRecord, now: Position) -> dict[str, Any] | None:
    tally = tally_of(emulator, job, now)
    if now.started is None and not tally.processed and now.state != "FAILED":
        return None
    numbers = {
        "percent": int(100 * tally.processed / job.timeline.rows) if job.timeline.rows else 0,
        "epoch": 0,
        # The service counts only once rows are done; captures show 0 for half an hour.
        "totalInputRequests": job.declared_rows if tally.processed else 0,
        "totalProcessedRequests": tally.processed,
        "successfullyProcessedRequests": tally.processed - tally.failed,
        "failedRequests": tally.failed,
        "outputRows": tally.output_rows,
        "inputTokens": tally.input_tokens,
        "outputTokens": tally.output_tokens,
        "cachedInputTokenCount": tally.cached_tokens,
    }
    if emulator.settings.numbers_as_strings:
        return {name: str(number) for name, number in numbers.items()}
    return dict(numbers)


def _publish(emulator: EmulatorState, job: JobRecord, now: Position) -> JobRecord:
    spool = emulator.runner.spool(job.id)
    if now.state == "FAILED":
        tally, _ = spool.finish(0)
        return emulator.store.put_job(replace(job, published=True, tally=tally))
    due = int(now.due * job.timeline.rows + 1e-9)
    complete = now.due >= 1 and job.rows_wanted is None
    wanted = None if complete else due if job.rows_wanted is None else job.rows_wanted
    tally, parts = spool.finish(wanted)
    folder = emulator.store.dataset_files(job.output_dataset)
    make_folder(folder)
    errors = emulator.store.job_folder(job.id) / ERRORS
    if emulator.output_writer is not None:
        files = _write_instead(emulator.output_writer, job, [*parts, errors], folder)
    else:
        files = [
            _place(path, folder / _result_name(number), spool.rows_in(number))
            for number, path in enumerate(parts)
        ]
        files.append(_place(errors, folder / ERRORS, tally.failed))
    at = emulator.store.unique_ns(emulator.clock.now_ns())
    name = f"accounts/{emulator.settings.account}/batchInferenceJobs/{job.id}"
    output = DatasetRecord(
        id=job.output_dataset,
        created=emulator.clock.moment(),
        created_ns=at,
        updated_ns=at,
        fields={"exampleCount": tally.output_rows, "sourceJobName": name},
        user_uploaded=False,
        files=tuple(files),
        complete=emulator.clock.moment(),
    )
    emulator.store.put_dataset(output)
    job = emulator.store.put_job(replace(job, published=True, tally=tally))
    for path in (*parts, errors):
        path.unlink()
    return job


def _place(path: Path, target: Path, rows: int) -> StoredFile:
    """Put a file of a job into a dataset.

    The job keeps it until it is on record as published: a process killed before that begins
    this anew.
    """
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:  # a disk that has no links
        target.touch(mode=FILE_MODE)
        shutil.copyfile(path, target)
    return StoredFile(target.name, target.stat().st_size, rows)


def _write_instead(
    writer: OutputWriter, job: JobRecord, paths: list[Path], folder: Path
) -> list[StoredFile]:
    rows = [row for path in paths for row in _rows_in(path)]
    files = []
    for name, content in writer(job, rows).items():
        target = folder / check_file_name(name)
        target.touch(mode=FILE_MODE)
        target.write_bytes(content)
        files.append(StoredFile(name, len(content), content.count(b"\n")))
    return files


def _result_name(number: int) -> str:
    return f"BIJOutputSet_{number}.jsonl" if number else "BIJOutputSet.jsonl"


def _rows_in(path: Path) -> list[dict[str, Any]]:
    rows = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        with suppress(orjson.JSONDecodeError):  # a marker may have asked for a broken line
            rows.append(orjson.loads(line))
    return rows
