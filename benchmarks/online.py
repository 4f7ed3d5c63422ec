"""How fast clients are online: one command, one table a question.

    python benchmarks/online.py                       # everything, about an hour
    python benchmarks/online.py --clients ours        # this package alone, about 20 minutes
    python benchmarks/online.py tokens random         # some questions
    python benchmarks/online.py tokens --clients ours,openai

Needs nginx (Debian: apt-get install nginx-light) for the questions of CPU and memory, and litellm
for that client. Every measurement is a process of its own against a server in another; the clients
take turns. Measured is the client: servers run on the same machine and take CPU from it, so use
one that is otherwise idle, with two cores or more. Network and TLS are left out: they cost all
clients the same.
"""

from __future__ import annotations

import argparse
import functools
import heapq
import importlib.util
import json
import math
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from markdown_table import print_table
from online_limits import Plan
from online_server import WORDS, Server, completion, limited, nginx, streamed

CHILD = Path(__file__).with_name("online_child.py")

NAMES = {
    "ours": "oumi-fireworks",
    "alone": "oumi-fireworks, nothing configured",
    "stock": "Oumi's own engine",
    "openai": "openai under a semaphore",
    "fireworks": "fireworks-ai under a semaphore",
    "litellm": "litellm under a semaphore",
    "bare": "bare aiohttp loop",
    "pump": "oumi-fireworks, the pump alone",
}
ROWS, WORKERS = 3000, 200
LONGEST = 1200.0  # seconds after which a client is stopped

Measured = dict[str, Any]


def measure(
    client: str, server: Server, rows: int, workers: int | None, stream: str = "auto"
) -> Measured | None:
    """Run a client in a process of its own; return None if it takes too long."""
    task = {
        "client": "ours" if client == "alone" else client,
        "root": server.root,
        "key": server.key,
        "rows": rows,
        "workers": None if client == "alone" else workers,
        "stream": stream,
    }
    try:
        done = subprocess.run(
            [sys.executable, CHILD, json.dumps(task)],
            capture_output=True,
            text=True,
            env={**os.environ, "DO_NOT_TRACK": "1"},
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{client} failed:\n{done.stderr[-2000:]}")
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    for error in measured.get("errors", ()):
        print(f"  {client}: {error}", file=sys.stderr)
    return measured


#
# CPU and memory
#


def cpu(clients: list[str], rows: int = 4000, workers: int = 50, rounds: int = 3) -> None:
    """Print the CPU for a request, against a server that answers at once."""
    seen: dict[str, list[Measured]] = {client: [] for client in clients if client != "alone"}
    with nginx(json.dumps(completion(WORDS, 32))) as server:
        for client in seen:
            measure(client, server, 2, workers)  # what the first run of a day keeps on disk
        for _ in range(rounds):
            for client, runs in seen.items():
                if measured := measure(client, server, rows, workers):
                    runs.append(measured)
    micros = {
        client: statistics.median(1e6 * each["cpu_seconds"] / rows for each in runs)
        for client, runs in seen.items()
    }

    def times(client: str, other: str) -> str:
        return f"{micros[client] / micros[other]:.2f}" if other in micros else "-"

    print_table(
        f"CPU of the client, {rows:,} requests, {workers} workers (median of {rounds} rounds)",
        ("client", "CPU for a request", "requests/s", "x stock", "x bare", "lost"),
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


def stream(_clients: list[str], rows: int = 1000, workers: int = 50, rounds: int = 3) -> None:
    """Print the CPU for a streamed answer beside one of as many bytes that is not streamed."""
    text = WORDS * 75  # about 1,200 words, a chunk each
    events = streamed(text, 1200)
    whole = json.dumps(
        completion("x" * (len(events) - len(json.dumps(completion("", 1200)))), 1200)
    )
    short = json.dumps(completion(text, 1200))
    answers = (
        ("streamed", events, "text/event-stream", "always"),
        ("not streamed, as many bytes", whole, "application/json", "never"),
        ("not streamed, the same text", short, "application/json", "never"),
    )
    micros = {}
    for name, answer, kind, mode in answers:
        with nginx(answer, kind) as server:
            runs = [measure("pump", server, rows, workers, mode) for _ in range(rounds)]
        assert all(run and run["answered"] == rows for run in runs)
        micros[name] = statistics.median(1e6 * run["cpu_seconds"] / rows for run in runs if run)
    print_table(
        f"CPU of the pump for an answer of {len(text):,} characters (median of {rounds} rounds)",
        ("answer", "bytes", "CPU", "of streamed"),
        (
            (
                name,
                f"{len(answer):,}",
                f"{micros[name]:.0f} µs",
                f"{micros['streamed'] / micros[name]:.2f}",
            )
            for name, answer, _, _ in answers
        ),
    )


def memory(clients: list[str], rows: int = 200_000) -> None:
    """Print what a long run holds in memory beyond its input and its output."""
    table = []
    with nginx(json.dumps(completion(WORDS, 32))) as server:
        for client in clients:
            if client not in ("ours", "pump"):  # others would take very long
                continue
            seen = measure(client, server, rows, 50)
            assert seen is not None
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


#
# Pace
#


def paced(
    clients: list[str],
    title: str,
    plan: Plan,
    rows: int = ROWS,
    ideal: Callable[[dict[str, Any], Measured], float] | None = None,
) -> None:
    """Print how much of what a limit lets through clients get, and what it costs.

    Args:
        clients: Who.
        title: What is asked.
        plan: What the server does.
        rows: How many requests.
        ideal: Rows that a perfect client would have got answered in the time that a client took;
            by default what the server reports.
    """

    def table() -> Iterable[tuple[str, ...]]:
        for client in clients:
            with limited(plan) as server:
                seen = measure(client, server, rows, WORKERS)
                facts = server.facts()
            if seen is None:
                yield (
                    NAMES[client],
                    f"> {LONGEST:.0f} s",
                    "",
                    "",
                    "",
                    str(rows - facts["answered"]),
                )
                continue
            perfect = ideal(facts, seen) if ideal else facts["perfect"]
            yield (
                NAMES[client],
                f"{seen['seconds']:.1f} s",
                # Rows that were given up save no time: counted is what was answered.
                f"{seen['answered'] / perfect:.1%}",
                f"{facts['refused']} ({facts['refused'] / rows:.1%})",
                f"{facts['shrunk']:.0f}" if "shrunk" in facts else "",
                str(rows - seen["answered"]),
            )

    head = ("client", "time", "of a perfect client", "refusals", "limit shrunk", "rows lost")
    print_table(title, head, table())


def tokens(clients: list[str]) -> None:
    """Ask about adaptive limits on tokens."""
    title = (
        f"Generated tokens: 36,000 a minute growing to 216,000 with use, 60 an answer, 0.5 s, "
        f"{ROWS:,} rows"
    )
    paced(clients, title, Plan("tokens"))


def cut(clients: list[str]) -> None:
    """Ask about a limit that another client shrinks."""
    title = f"The same, cut to a sixth after 35 s by another client, {ROWS:,} rows"
    paced(clients, title, Plan("tokens", cut_at=35.0))


def requests(clients: list[str]) -> None:
    """Ask about a limit that nothing tells."""
    paced(
        clients,
        f"6,000 requests a minute, nothing stated, {ROWS:,} rows",
        Plan("requests", per_second=100.0),
    )


def advice(clients: list[str]) -> None:
    """Ask about refusals that ask for more patience than needed."""
    for per_second, rows in ((100.0, ROWS), (20.0, 1000)):
        paced(
            clients,
            f"{per_second:.0f} requests a second, `Retry-After: 89` on refusals, {rows:,} rows",
            Plan("requests", per_second=per_second, retry_after="89"),
            rows,
        )


def at_random(clients: list[str], rows: int = 40_000) -> None:
    """Ask about refusals whatever the rate: of what goes through without any."""
    chosen = [client for client in clients if client in ("ours", "alone", "pump", "stock")]
    free: dict[str, float] = {}
    for client in chosen:
        with limited(Plan(latency=0.1)) as server:
            if seen := measure(client, server, rows, WORKERS):
                free[client] = seen["answered"] / seen["seconds"]
                print(f"  {client}: {free[client]:.0f} a second without refusals", file=sys.stderr)
    for share in (0.02, 0.1):
        for client in chosen:
            paced(
                [client],
                f"{share:.0%} of requests refused whatever the rate, 0.1 s, {rows:,} rows",
                Plan("random", latency=0.1, share=share),
                rows,
                functools.partial(_as_free, free[client]),
            )


def _as_free(per_second: float, _facts: dict[str, Any], seen: Measured) -> float:
    """Return the rows that are answered in the time that a run took if nothing is refused."""
    seconds: float = seen["seconds"]
    return per_second * seconds


def closed(clients: list[str]) -> None:
    """Ask about minutes of nothing but refusals."""
    paced(
        clients,
        "5 minutes of nothing but refusals, then free, 1,000 rows",
        Plan("closed", closed=300.0),
        1000,
        lambda _facts, _seen: 1000.0,
    )


def latency(clients: list[str]) -> None:
    """Ask how busy the workers are when answers take their time and nothing is limited."""
    plan = Plan()
    least = best_time(ROWS, WORKERS, plan)
    paced(
        clients,
        f"Nothing stated, no limit, {WORKERS} workers, 0.5 s, {ROWS:,} rows: {least:.1f} s at best",
        plan,
        ideal=lambda _facts, seen: ROWS * seen["seconds"] / least,
    )


def best_time(rows: int, workers: int, plan: Plan) -> float:
    """Return the seconds that the latencies take if every worker is always busy with them."""
    chance = random.Random(0)
    free_at = [0.0] * workers
    for _ in range(rows):
        drawn = plan.latency * math.exp(plan.sigma * chance.gauss(0, 1))
        heapq.heappush(free_at, heapq.heappop(free_at) + drawn)
    return max(free_at)


SCENARIOS: dict[str, Callable[[list[str]], None]] = {
    "tokens": tokens,
    "cut": cut,
    "requests": requests,
    "advice": advice,
    "random": at_random,
    "closed": closed,
    "latency": latency,
    "cpu": cpu,
    "stream": stream,
    "memory": memory,
}
HIDDEN: dict[str, set[str]] = {"latency": {"pump"}, "cpu": set(), "stream": set(), "memory": set()}


def main() -> None:
    """Answer the questions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenarios", nargs="*", help=f"some of {', '.join(SCENARIOS)}")
    parser.add_argument("--clients", help=f"some of {', '.join(NAMES)}")
    options = parser.parse_args()
    clients = (options.clients or ",".join(NAMES)).split(",")
    if "litellm" in clients and importlib.util.find_spec("litellm") is None:
        print("litellm is not installed and left out", file=sys.stderr)
        clients.remove("litellm")
    for scenario in options.scenarios or SCENARIOS:
        # Without retries a bare loop has nothing to say about limits, and the pump is in ours.
        hidden = set() if options.clients else HIDDEN.get(scenario, {"bare", "pump"})
        SCENARIOS[scenario]([client for client in clients if client not in hidden])


if __name__ == "__main__":
    main()
