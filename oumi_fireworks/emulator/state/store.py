"""The emulator's memory: datasets and jobs, in a folder that outlives the process.

Layout of the folder::

    emulator.json               the signing secret, the API key where none was given, and how
                                far the clock was moved
    datasets/<id>/dataset.json  a record, and beside it
    datasets/<id>/files/<name>  the files
    jobs/<id>/job.json          a record, and beside it
    jobs/<id>/...               what the job has written so far
    deleted-jobs/<ns>.json      the records of deleted jobs by when they were created

Records are replaced atomically, so that a process killed at any moment leaves either the old
one or the new one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson

from oumi_fireworks.emulator.state.history import History
from oumi_fireworks.emulator.state.private_files import make_folder, private
from oumi_fireworks.emulator.state.records import DatasetRecord, JobRecord

T = TypeVar("T")


class Store:
    """Datasets and jobs by id. Safe to use from any thread.

    Whoever reads a record and writes another in its place holds `lock` meanwhile.

    Args:
        folder: Where it is kept; made if it does not exist.

    Raises:
        OSError: If it cannot be used, or holds a record that is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.datasets: dict[str, DatasetRecord] = {}
        self.jobs: dict[str, JobRecord] = {}
        self.deleted_datasets: list[DatasetRecord] = []
        self.deleted_jobs: list[JobRecord] = []
        self.dataset_history: History[DatasetRecord] = History()
        self.job_history: History[JobRecord] = History()
        self.secret = secrets.token_hex(16)
        self.key = f"fw_emulator_{secrets.token_hex(16)}"
        self.advanced = 0.0
        self._last_ns = 0
        make_folder(folder / "datasets")
        make_folder(folder / "jobs")
        make_folder(folder / "deleted-jobs")
        self._load()

    def dataset_files(self, dataset_id: str) -> Path:
        """Return the folder that holds a dataset's files."""
        return self.folder / "datasets" / dataset_id / "files"

    def job_folder(self, job_id: str) -> Path:
        """Return the folder in which a job works."""
        return self.folder / "jobs" / job_id

    def put_dataset(self, dataset: DatasetRecord) -> DatasetRecord:
        """Keep a dataset, in place of an older record with its id."""
        with self.lock:
            make_folder(self.dataset_files(dataset.id))
            _write(self.folder / "datasets" / dataset.id / "dataset.json", dataset.to_json())
            self.datasets[dataset.id] = dataset
            self.dataset_history.note(dataset.id, self._now(), dataset)
        return dataset

    def put_job(self, job: JobRecord) -> JobRecord:
        """Keep a job, in place of an older record with its id."""
        with self.lock:
            make_folder(self.job_folder(job.id))
            _write(self.job_folder(job.id) / "job.json", job.to_json())
            self.jobs[job.id] = job
            self.job_history.note(job.id, self._now(), job)
        return job

    def drop_dataset(self, dataset_id: str) -> None:
        """Forget a dataset and its files."""
        with self.lock:
            self.deleted_datasets.append(self.datasets.pop(dataset_id))
            self.dataset_history.note(dataset_id, self._now(), None)
            shutil.rmtree(self.folder / "datasets" / dataset_id)

    def drop_job(self, job_id: str) -> None:
        """Forget a job and what it was working on."""
        with self.lock:
            job = self.jobs.pop(job_id)
            _write(self.folder / "deleted-jobs" / f"{job.created_ns}.json", job.to_json())
            self.deleted_jobs.append(job)
            self.job_history.note(job_id, self._now(), None)
            shutil.rmtree(self.job_folder(job_id))

    def _now(self) -> float:
        """Return the seconds since the epoch on the emulator's clock."""
        return time.time() + self.advanced

    def unique_ns(self, now_ns: int) -> int:
        """Return `now_ns` or a little later: no two records are made at the same nanosecond."""
        with self.lock:
            self._last_ns = max(now_ns, self._last_ns + 1)
            return self._last_ns

    def save_clock(self, advanced: float) -> None:
        """Remember how far the clock was moved."""
        self.advanced = advanced
        self._save_self()

    def _save_self(self) -> None:
        state = {"secret": self.secret, "key": self.key, "advanced": self.advanced}
        _write(self.folder / "emulator.json", state)

    def _load(self) -> None:
        own = self.folder / "emulator.json"
        if own.exists():
            self.secret, self.key, self.advanced = _read(
                own, lambda state: (state["secret"], state.get("key", self.key), state["advanced"])
            )
        else:
            self._save_self()
        for path in sorted(self.folder.glob("datasets/*/dataset.json")):
            dataset = _read(path, DatasetRecord.from_json)
            self.datasets[dataset.id] = dataset
            self.dataset_history.note(dataset.id, dataset.created.seconds, dataset)
        for path in sorted(self.folder.glob("deleted-jobs/*.json")):
            self.deleted_jobs.append(_read(path, JobRecord.from_json))
        deleted = {job.created_ns for job in self.deleted_jobs}
        for path in sorted(self.folder.glob("jobs/*/job.json")):
            job = _read(path, JobRecord.from_json)
            if job.created_ns in deleted:  # killed in the middle of the removal
                shutil.rmtree(path.parent)
                continue
            self.jobs[job.id] = job
            self.job_history.note(job.id, job.created.seconds, job)


def _write(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".new")
    with open(temporary, "wb", opener=private) as file:
        file.write(orjson.dumps(value))
    os.replace(temporary, path)


def _read(path: Path, parse: Callable[[Any], T]) -> T:
    data = path.read_bytes()
    try:
        return parse(orjson.loads(data))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise OSError(
            f"{path} is not what this version of the emulator writes; "
            "move it away, or keep the state in another folder"
        ) from error
