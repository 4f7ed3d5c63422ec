"""The servers of the online benchmark: nginx, which costs nothing, and one with limits.

As a program it is the server with limits in a process of its own: a plan as JSON in its only
argument, a line of JSON with its URL out; then a line of JSON for each line that comes in.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from online_limits import LIMITS, Plan

WORDS = "The capital is Ashgrove on the river Teal, known for old bridges and a glass works. "


def completion(text: str, tokens: int) -> dict[str, Any]:
    """Return a chat completion."""
    return {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion",
        "created": 1767225600,
        "model": "accounts/fireworks/models/toy-chat",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 31, "completion_tokens": tokens, "total_tokens": 31 + tokens},
    }


def streamed(text: str, tokens: int) -> str:
    """Return a completion as an event stream, a chunk a word."""
    frame = completion("", tokens) | {"object": "chat.completion.chunk"}
    usage = frame.pop("usage")
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    deltas += [{"content": f"{word} "} for word in text.split(" ")]
    chunks = [
        frame | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks.append(frame | {"choices": [end], "usage": usage})
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*events, "data: [DONE]\n\n"])


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
    root {folder};
    default_type {kind};
    error_page 405 =200 /answer;
    location / {{ rewrite ^ /answer break; }}
  }}
}}
"""


@dataclass
class Server:
    """A server that a client can be sent to."""

    root: str
    key: str = "fw_benchmark"


@contextmanager
def nginx(answer: str, kind: str = "application/json") -> Iterator[Server]:
    """Run nginx with one fixed answer.

    Raises:
        FileNotFoundError: If nginx is not installed.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise FileNotFoundError(
            "This scenario needs nginx. On Debian and Ubuntu: apt-get install nginx-light"
        )
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder, socket.socket() as probe:
        Path(folder).chmod(0o755)
        Path(folder, "answer").write_text(answer)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        config = Path(folder, "nginx.conf")
        config.write_text(_NGINX.format(folder=folder, port=port, kind=kind))
        process = subprocess.Popen([program, "-p", folder, "-c", config])
        try:
            _wait_for(port, process)
            yield Server(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[Any]) -> None:
    """Return once nginx takes connections, which it does not tell."""
    while True:
        with suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
            raise RuntimeError("nginx did not start; its message is above")


class LimitedServer(Server):
    """The server with limits, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._output: IO[str] = process.stdout  # type: ignore[assignment]
        self._input: IO[str] = process.stdin  # type: ignore[assignment]
        super().__init__(json.loads(self._output.readline())["root"])

    def facts(self, **what: Any) -> dict[str, Any]:
        """Return what the server saw; with `times=True` also when requests came."""
        print(json.dumps(what), file=self._input, flush=True)
        answer: dict[str, Any] = json.loads(self._output.readline())
        return answer


@contextmanager
def limited(plan: Plan) -> Iterator[LimitedServer]:
    """Run the server with limits. Every run draws the same latencies in the same order."""
    process = subprocess.Popen(
        [sys.executable, __file__, json.dumps(asdict(plan))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield LimitedServer(process)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()


class _State:
    """What all connections of a server share."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.limit = LIMITS[plan.kind](plan)
        self.chance = random.Random(0)
        self.began: float | None = None
        self.answered = self.refused = 0
        self.last_answer = 0.0
        self.times: list[tuple[float, bool]] = []
        self.limits: list[tuple[float, float]] = []
        self.body = json.dumps(completion(WORDS, plan.tokens)).encode()

    def now(self) -> float:
        loop = asyncio.get_running_loop()
        if self.began is None:
            self.began = loop.time()
        return loop.time() - self.began

    def facts(self, *, times: bool = False) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "answered": self.answered,
            "refused": self.refused,
            "seconds": self.last_answer,
            **self.limit.facts(self.last_answer),
        }
        if times:
            facts |= {"times": self.times, "limits": self.limits}
        return facts


REFUSAL = json.dumps(
    {
        "object": "error",
        "type": "invalid_request_error",
        "code": "invalid_request_error",
        "message": "rate limit exceeded, please try again later",
    }
).encode()


class _Connection(asyncio.Protocol):
    """One connection; as little HTTP as the clients need."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._handle()

    def _handle(self) -> None:
        state = self._state
        now = state.now()
        admitted = state.limit.admits(now)
        state.times.append((now, admitted))
        if admitted:
            latency = state.plan.latency * math.exp(state.plan.sigma * state.chance.gauss(0, 1))
            asyncio.get_running_loop().call_later(latency, self._answer)
            return
        state.refused += 1
        self._send("429 Too Many Requests", state.limit.headers(now, refused=True), REFUSAL)

    def _answer(self) -> None:
        state = self._state
        now = state.now()
        state.limit.answered(now)
        state.answered += 1
        state.last_answer = now
        state.limits.append((now, getattr(state.limit, "limit", 0.0)))
        self._send("200 OK", state.limit.headers(now, refused=False), state.body)

    def _send(self, status: str, headers: str, body: bytes) -> None:
        if not self._transport.is_closing():
            head = (
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n{headers}\r\n"
            )
            self._transport.write(head.encode() + body)


async def _serve(plan: Plan) -> None:
    state = _State(plan)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(state), "127.0.0.1", 0, backlog=4096)
    over = asyncio.Event()

    def obey() -> None:
        for line in sys.stdin:
            facts = asyncio.run_coroutine_threadsafe(_facts(state, json.loads(line)), loop)
            print(json.dumps(facts.result()), flush=True)
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=obey, daemon=True).start()
    print(json.dumps({"root": "http://{}:{}".format(*server.sockets[0].getsockname())}), flush=True)
    await over.wait()


async def _facts(state: _State, what: dict[str, Any]) -> dict[str, Any]:
    return state.facts(**what)


if __name__ == "__main__":
    asyncio.run(_serve(Plan(**json.loads(sys.argv[1]))))
