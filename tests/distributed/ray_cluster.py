"""A Ray cluster on this machine, in processes of its own, and blows to it."""

from __future__ import annotations

import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent

_AT_WORK = re.compile(r"ray::(_look|_submit|_collect|Waiter|\w*(?:Read|Write|List)\w*)")
"""What workers call themselves in the midst of a task; not idle ones, and not Ray's own agents."""


_STARTS = 3
"""How often a cluster is begun: on a busy machine its own time limits run out now and then."""

_MARK = "OUMI_FIREWORKS_TEST_CLUSTER"
"""A variable by which all processes of a cluster are known, whatever they call themselves."""

_PATIENCE = {
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_worker_register_timeout_seconds": "180",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "180",
}
"""Ray's own limits of seconds, for a machine with more to do than this."""


class Cluster:
    """A cluster of one machine.

    Args:
        folder: Where it keeps its files.
        address: Where it is.
    """

    def __init__(self, folder: str, address: str) -> None:
        self._folder = folder
        self.address = address

    def kill_worker(self, chance: random.Random) -> str | None:
        """Kill a worker in the midst of a task by SIGKILL, and return of which; None without one.

        Args:
            chance: Chooses among several.
        """
        workers = list(self._workers())
        if not workers:
            return None
        process, title = chance.choice(workers)
        try:
            process.kill()
        except psutil.NoSuchProcess:
            return None
        return title

    def _workers(self) -> Iterator[tuple[psutil.Process, str]]:
        for process in self._processes():
            with suppress(psutil.Error):
                if match := _AT_WORK.match(" ".join(process.cmdline())):
                    yield process, match[1]

    def stop(self) -> None:
        """Kill all of it."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=30)

    def _processes(self) -> list[psutil.Process]:
        own: list[psutil.Process] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(_MARK) == self._folder:
                    own.append(process)
        return own


@contextmanager
def ray_cluster(environment: Mapping[str, str], workers: int = 2) -> Iterator[Cluster]:
    """Give a cluster whose workers have these variables."""
    for _ in range(_STARTS):
        # Short: there are sockets below it, and their paths have 107 bytes at the most.
        folder = tempfile.mkdtemp(prefix="ray-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            str(BIN / "ray"), "start", "--head", f"--port={port}", f"--num-cpus={workers}",
            "--object-store-memory=300000000", "--include-dashboard=false",
            "--disable-usage-stats", f"--temp-dir={folder}",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            env={**environment, **_PATIENCE, _MARK: folder},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        cluster = Cluster(folder, f"127.0.0.1:{port}")
        try:
            if done.returncode == 0:
                yield cluster
                return
        finally:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)
    raise AssertionError("the cluster has not begun")
