"""How fast clients are online: one command, one table a question.

    python benchmarks/online.py                  # everything, about 20 minutes
    python benchmarks/online.py cpu limit        # some questions
    python benchmarks/online.py latency --clients ours,stock

Needs nginx (Debian: apt-get install nginx-light). Every measurement is a
process of its own against a server in another; the clients take turns. Measured is the client:
servers run on the same machine and take CPU from it, so use one that is otherwise idle, with two
cores or more. Network and TLS are left out: they cost all clients the same.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from markdown_table import print_table
from online_server import EmulatorProcess, Server, emulator, nginx

from oumi_fireworks.emulator import Latency

CHILD = Path(__file__).with_name("online_child.py")

NAMES = {
    "ours": "oumi-fireworks",
    "stock": "Oumi's own engine",
    "openai": "openai under a semaphore",
    "fireworks": "fireworks-ai under a semaphore",
    "bare": "bare aiohttp loop",
    "pump": "oumi-fireworks, the pump alone",
}
LATENCY, SIGMA = 0.5, 0.5
ROWS, WORKERS = 3000, 200

Measured = dict[str, Any]


def measure(client: str, server: Server, rows: int, workers: int | None) -> Measured:
    """Run a client in a process of its own."""
    task = {
        "client": client,
        "root": server.root,
        "key": server.key,
        "rows": rows,
        "workers": workers,
    }
    done = subprocess.run(
        [sys.executable, CHILD, json.dumps(task)],
        capture_output=True,
        text=True,
        env={**os.environ, "DO_NOT_TRACK": "1"},
    )
    if done.returncode:
        raise RuntimeError(f"{client} failed:\n{done.stderr[-2000:]}")
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    for error in measured.get("errors", ()):
        print(f"  {client}: {error}", file=sys.stderr)
    return measured


def cpu(clients: list[str], rows: int = 4000, workers: int = 50, rounds: int = 3) -> None:
    """CPU per request, against a server that answers at once."""
    seen: dict[str, list[Measured]] = {client: [] for client in clients}
    with nginx() as server:
        for _ in range(rounds):
            for client in clients:
                seen[client].append(measure(client, server, rows, workers))
    micros = {
        client: statistics.median(1e6 * each["cpu_seconds"] / rows for each in runs)
        for client, runs in seen.items()
    }

    def times(client: str, other: str) -> str:
        return f"{micros[client] / micros[other]:.2f}" if other in micros else "-"

    print_table(
        f"CPU of the client, {rows:,} requests, {workers} workers (median of {rounds} rounds)",
        ("client", "CPU per request", "requests/s", "x stock", "x bare", "lost"),
        (
            (
                NAMES[client],
                f"{micros[client]:.0f} µs",
                f"{statistics.median(rows / each['seconds'] for each in runs):.0f}",
                times(client, "stock"),
                times(client, "bare"),
                str(rows - min(each["answered"] for each in runs)),
            )
            for client, runs in seen.items()
        ),
    )


def latency(clients: list[str]) -> None:
    """Throughput when answers take their time and nothing is limited."""
    ideal = best_time(ROWS, WORKERS)
    table = []
    for client in clients:
        with emulator(LATENCY, SIGMA) as server:
            seen = measure(client, server, ROWS, WORKERS)
        table.append(
            (
                NAMES[client],
                f"{seen['seconds']:.1f} s",
                f"{ROWS / seen['seconds']:.0f}",
                f"{ideal / seen['seconds']:.1%}",
                str(ROWS - seen["answered"]),
            )
        )
    print_table(
        f"{WORKERS} workers, {LATENCY} s median latency (log-normal, sigma {SIGMA}), {ROWS:,} "
        f"requests: {ideal:.1f} s at best",
        ("client", "time", "requests/s", "of the ideal", "lost"),
        table,
    )


def best_time(rows: int, workers: int) -> float:
    """Seconds that these latencies take if every worker is always busy, and nothing else does."""
    chance, drawn = random.Random(0), Latency(LATENCY, SIGMA)
    free_at = [0.0] * workers
    for _ in range(rows):
        heapq.heappush(free_at, heapq.heappop(free_at) + drawn.draw(chance))
    return max(free_at)


def limit(clients: list[str]) -> None:
    """Set a limit that the client is not told."""
    limited(
        clients,
        f"A limit of 6,000 a minute over windows of one second, not configured, {ROWS:,} requests: "
        "30 s at best",
        [(0.0, 6000.0)],
    )


def drop(clients: list[str]) -> None:
    """Let a limit fall to a third and come back."""
    limited(
        clients,
        f"The same, but from 10 s to 25 s only 2,000 a minute, {ROWS:,} requests: 40 s at best",
        [(0.0, 6000.0), (10.0, 2000.0), (25.0, 6000.0)],
    )


def limited(clients: list[str], title: str, plan: list[tuple[float, float]]) -> None:
    """Measure clients against a limit that changes as planned."""
    table = []
    for client, workers in with_own_choice(clients):
        with emulator(LATENCY, SIGMA) as server:
            server.limit(plan[0][1])
            with following(server, plan):
                seen = measure(client, server, ROWS, workers)
            refusals = server.counts().get("429", 0)
        table.append(
            (
                NAMES[client] + ("" if workers else ", nothing configured"),
                f"{seen['seconds']:.1f} s",
                # Of what the limit lets through, what was answered: rows given up save no time.
                f"{time_allowed(seen['answered'], plan) / seen['seconds']:.1%}",
                f"{refusals} ({refusals / ROWS:.1%})",
                str(ROWS - seen["answered"]),
            )
        )
    print_table(title, ("client", "time", "of the ideal", "refusals", "rows lost"), table)


def with_own_choice(clients: list[str]) -> list[tuple[str, int | None]]:
    """Return the clients, each with so many workers, or with its own choice where it has one."""
    return [
        pair
        for client in clients
        for pair in [(client, WORKERS), *([(client, None)] if client == "ours" else [])]
    ]


class following:
    """Changes the server's limit as planned, from its first request on."""

    def __init__(self, server: EmulatorProcess, plan: list[tuple[float, float]]) -> None:
        self._server, self._plan = server, plan[1:]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        if not self._plan:
            return
        while not self._server.counts():
            if self._over.wait(0.01):
                return
        began = time.monotonic()
        for at, requests_per_minute in self._plan:
            if self._over.wait(at - (time.monotonic() - began)):
                return
            self._server.limit(requests_per_minute)


def time_allowed(rows: int, plan: list[tuple[float, float]]) -> float:
    """Seconds until a limit that changes as planned has let so many rows through."""
    left = float(rows)
    for (begin, per_minute), (end, _) in zip(plan, [*plan[1:], (float("inf"), 0)], strict=True):
        allowed = (end - begin) * per_minute / 60
        if allowed >= left:
            return begin + left * 60 / per_minute
        left -= allowed
    raise AssertionError("the last stage has no end")


def memory(clients: list[str], rows: int = 200_000) -> None:
    """Measure what a long run holds in memory beyond its input and its output."""
    table = []
    with nginx() as server:
        for client in clients:
            if client not in ("ours", "pump"):  # others would take very long
                continue
            seen = measure(client, server, rows, 50)
            ends = max(seen["memory_before"], seen["memory_after"])
            table.append(
                (
                    NAMES[client],
                    f"{seen['memory_before']:.0f} MB",
                    f"{seen['memory_most']:.0f} MB",
                    f"{seen['memory_after']:.0f} MB",
                    f"{seen['memory_most'] - ends:.0f} MB",
                    str(rows - seen["answered"]),
                )
            )
    print_table(
        f"Memory, {rows:,} conversations (the pump alone keeps no output)",
        ("client", "with the input", "at most", "with the output", "beyond both", "lost"),
        table,
    )


SCENARIOS: dict[str, Callable[[list[str]], None]] = {
    "cpu": cpu,
    "latency": latency,
    "limit": limit,
    "drop": drop,
    "memory": memory,
}


def main() -> None:
    """Answer the questions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="*", help=f"some of {', '.join(SCENARIOS)}")
    parser.add_argument("--clients", default=",".join(NAMES), help=f"some of {', '.join(NAMES)}")
    options = parser.parse_args()
    clients = options.clients.split(",")
    for scenario in options.scenarios or SCENARIOS:
        # Without retries a bare loop has nothing to say about limits.
        chosen = [c for c in clients if not (scenario in ("limit", "drop") and c == "bare")]
        SCENARIOS[scenario](chosen)


if __name__ == "__main__":
    main()
