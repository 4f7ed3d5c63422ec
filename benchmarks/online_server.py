"""The servers of the online benchmark: nginx, which costs nothing, and the emulator.

As a program it is the emulator in a process of its own, controlled through its standard input: a
line of JSON in, a line of JSON out.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from oumi_fireworks.emulator import Emulator, Latency, RateLimit

COMPLETION = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "accounts/fireworks/models/toy-chat",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "The capital is Ashgrove on the river Teal. It is known for its old "
                "bridges, its glass works and a market that opens before sunrise.",
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 31, "completion_tokens": 32, "total_tokens": 63},
}

_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type application/json; return 200 '{answer}'; }}
  }}
}}
"""


@dataclass
class Server:
    """A server that a client can be sent to."""

    root: str
    key: str


@contextmanager
def nginx() -> Iterator[Server]:
    """Run nginx with one fixed completion.

    Raises:
        FileNotFoundError: If nginx is not installed.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise FileNotFoundError(
            "This scenario needs nginx. On Debian and Ubuntu: apt-get install nginx-light"
        )
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        answer = json.dumps(COMPLETION).replace("'", "\\'")
        config = Path(folder, "nginx.conf")
        config.write_text(_NGINX.format(folder=folder, port=port, answer=answer))
        process = subprocess.Popen([program, "-p", folder, "-c", config])
        try:
            _wait_for(port, process)
            yield Server(f"http://127.0.0.1:{port}", "fw_benchmark")
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[Any]) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError("nginx did not start; its message is above")


class EmulatorProcess(Server):
    """The emulator in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._output: IO[str] = process.stdout  # type: ignore[assignment]
        self._input: IO[str] = process.stdin  # type: ignore[assignment]
        ready = json.loads(self._output.readline())
        super().__init__(ready["root"], ready["key"])

    def tell(self, **command: Any) -> dict[str, Any]:
        """Send a command; see `_obey`."""
        print(json.dumps(command), file=self._input, flush=True)
        answer: dict[str, Any] = json.loads(self._output.readline())
        return answer

    def limit(self, requests_per_minute: float | None) -> None:
        """Set the limit, counted in windows of one second."""
        self.tell(limit=requests_per_minute)

    def counts(self) -> dict[str, int]:
        """How many requests had which status."""
        return dict(self.tell(counts=True))

    def times(self) -> list[tuple[float, int]]:
        """When requests came, and their status."""
        return [(when, status) for when, status in self.tell(times=True)["times"]]


@contextmanager
def emulator(latency: float, sigma: float) -> Iterator[EmulatorProcess]:
    """Run the emulator with this latency. Every run draws the same latencies in the same order."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(latency), str(sigma)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield EmulatorProcess(process)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()


def _obey(emulator: Emulator, command: dict[str, Any]) -> dict[str, Any]:
    if "limit" in command:
        limit = command["limit"]
        emulator.rate_limit = RateLimit(limit, window=1.0) if limit else None
    if "times" in command:
        return {"times": [(each.time, each.status) for each in emulator.requests]}
    if "counts" in command:
        counts: dict[str, int] = {}
        for each in emulator.requests:
            counts[str(each.status)] = counts.get(str(each.status), 0) + 1
        return counts
    return {}


def main() -> None:
    """Serve until the standard input ends."""
    latency = Latency(float(sys.argv[1]), float(sys.argv[2]))
    with Emulator(latency=latency if latency.median else None, seed=0) as emulator:
        print(json.dumps({"root": emulator.url, "key": emulator.api_key}), flush=True)
        for line in sys.stdin:
            print(json.dumps(_obey(emulator, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
