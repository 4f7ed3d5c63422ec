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

_WORKERS = re.compile(r"ray::(_look|_submit|_collect|Waiter|IDLE|\w*(Read|Write|List)\w*)")
"""What workers call themselves, whatever they do; not Ray's own agents."""


class Cluster:
    """A cluster of one machine.

    Attributes:
        address: Where it is.
    """

    def __init__(self, head: subprocess.Popen[bytes], address: str) -> None:
        self._head = psutil.Process(head.pid)
        self.address = address

    def kill_worker(self, chance: random.Random) -> str | None:
        """Kill one of its workers by SIGKILL, and return what it did; None if there is none."""
        workers: list[tuple[psutil.Process, str]] = []
        for process in self._head.children(recursive=True):
            with suppress(psutil.Error):
                title = " ".join(process.cmdline())
                if match := _WORKERS.match(title):
                    workers.append((process, match[1]))
        busy = [each for each in workers if each[1] != "IDLE"] or workers
        if not busy:
            return None
        process, title = chance.choice(busy)
        with suppress(psutil.Error):
            process.kill()
        return title

    def stop(self) -> None:
        """Kill all of it."""
        processes = [self._head, *self._head.children(recursive=True)]
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=30)


@contextmanager
def ray_cluster(environment: Mapping[str, str], workers: int = 2) -> Iterator[Cluster]:
    """Give a cluster whose workers have these variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Short: there are sockets below it, and their paths have 107 bytes at the most.
    folder = tempfile.mkdtemp(prefix="ray-")
    command = [
        str(BIN / "ray"), "start", "--head", "--block", f"--port={port}", f"--num-cpus={workers}",
        "--node-ip-address=127.0.0.1", "--object-store-memory=300000000",
        "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}",
    ]  # fmt: skip
    address = f"127.0.0.1:{port}"
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.DEVNULL) as head:
        cluster = Cluster(head, address)
        try:
            health = [str(BIN / "ray"), "health-check", "--address", address]
            while subprocess.run(health, env=dict(environment), check=False).returncode:
                assert head.poll() is None, "the cluster has not begun"
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)
