"""Who is at work on a run, and who waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from oumi_fireworks.batch.run_files import LOCK_NAME, WAITING_PREFIX, RunFiles
from oumi_fireworks.errors import RunLockedError
from oumi_fireworks.files import PRIVATE_FILE
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)


class RunLock:
    """Keeps others out of a run. The lock dies with the process.

    Attributes:
        has_joined: Whether another one was waited for: its results are delivered here as well.
    """

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self.has_joined = False

    @contextmanager
    def held(self, *, wait: bool) -> Iterator[None]:
        """Hold the lock; at the end, remove the folder of a run that is finished.

        Args:
            wait: Whether to wait for whoever is at work on it.

        Raises:
            RunLockedError: If another process is at work on it, unless that is waited for.
            SpoolError: If the folder is somebody else's, or cannot be made.
        """
        self._files.own.claim()
        lock = FileLock(self._files.folder / LOCK_NAME, mode=PRIVATE_FILE)
        if wait:
            self._join(lock)
        else:
            self._acquire_now(lock)
        try:
            yield
        finally:
            if not self._files.manifest_path.exists():  # finished, or never begun
                self._files.own.remove()
            lock.release()

    def is_waited_for(self) -> bool:
        """Whether somebody waits for this run."""
        for path in self._files.folder.glob(f"{WAITING_PREFIX}*"):
            lock = FileLock(path)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return True
            lock.release()
            path.unlink(missing_ok=True)  # of a process that is no more
        return False

    def _join(self, lock: FileLock) -> None:
        """Acquire the lock, after whoever holds it; let that one know."""
        folder = self._files.folder
        waiting = FileLock(folder / f"{WAITING_PREFIX}{os.getpid()}-{id(self)}", mode=PRIVATE_FILE)
        with waiting:
            try:
                self._acquire_now(lock)
            except RunLockedError:
                logger.info("Another call is at work on the run in %s: waiting.", folder)
                self.has_joined = True
                lock.acquire()
                while not Path(lock.lock_file).exists():  # removed with the folder
                    lock.release()
                    self._files.own.claim()
                    lock.acquire()
        Path(waiting.lock_file).unlink(missing_ok=True)

    def _acquire_now(self, lock: FileLock) -> None:
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise RunLockedError(
                f"Another process is at work on the run in {self._files.folder}. Wait for it, or "
                "stop it; this one has changed nothing."
            ) from error
