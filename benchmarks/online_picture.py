"""Draw docs/pacing.png: two real runs of the pump against a limit that falls and comes back.

    python benchmarks/online_picture.py          # about two and a half minutes; needs matplotlib

In the first run the service states its limit in its headers, in the second it does not: a proxy
takes them away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import matplotlib.pyplot as plt
from aiohttp import web
from matplotlib.axes import Axes
from online import following
from online_child import body
from online_server import EmulatorProcess, emulator

from oumi_fireworks.online import Pump, PumpSettings

PICTURE = Path(__file__).parents[1] / "docs" / "pacing.png"

FULL, LOW = 6000.0, 2000.0  # requests a minute
PLAN = [(0.0, FULL), (20.0, LOW), (40.0, FULL)]
SECONDS = 65
WORKERS = 200

Requests = list[tuple[float, int]]
"""When each came, in seconds, and the status that it was answered with."""


@asynccontextmanager
async def without_rate_limit_headers(root: str) -> AsyncIterator[str]:
    """Run a proxy that hides what the service says about its limit; yield its root."""

    async def forward(request: web.Request) -> web.Response:
        async with session.post(
            root + request.path,
            data=await request.read(),
            headers={"Authorization": request.headers["Authorization"]},
        ) as answer:
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                content_type=answer.content_type,
            )

    app = web.Application()
    app.router.add_post("/{path:.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        try:
            yield "http://{}:{}".format(*runner.addresses[0])
        finally:
            await runner.cleanup()


async def pump_for_a_while(root: str, key: str) -> None:
    """Send rows through a pump for as long as the picture is wide."""
    pump = Pump(
        PumpSettings(
            url=f"{root}/inference/v1/chat/completions",
            headers={"Authorization": f"Bearer {key}"},
            workers=WORKERS,
        )
    )

    def rows() -> Iterator[tuple[int, dict[str, object]]]:
        end = asyncio.get_running_loop().time() + SECONDS
        row = 0
        while asyncio.get_running_loop().time() < end:
            yield row, body(row)
            row += 1

    await pump.run(rows(), lambda _row, _outcome: None)
    await pump.close()


async def hidden(server: EmulatorProcess) -> None:
    """Run against a service that does not state its limit."""
    async with without_rate_limit_headers(server.root) as root:
        await pump_for_a_while(root, server.key)


def record(*, stated: bool) -> Requests:
    """Run once, and return what the server saw."""
    with emulator(0.5, 0.5) as server:
        server.limit(FULL)
        with following(server, PLAN):
            asyncio.run(pump_for_a_while(server.root, server.key) if stated else hidden(server))
        seen = sorted(server.times())
    begin = seen[0][0]
    return [(when - begin, status) for when, status in seen]


def draw(axes: Axes, requests: Requests, title: str) -> None:
    """Draw requests per second against the limit."""
    answered = Counter(int(when) for when, status in requests if status == 200)
    refused = Counter(int(when) for when, status in requests if status == 429)
    seconds = range(SECONDS)
    middle = [second + 0.5 for second in seconds]
    axes.step(
        [0.0, 20.0, 40.0, SECONDS],
        [FULL / 60, LOW / 60, FULL / 60, FULL / 60],
        where="post",
        color="#444444",
        linewidth=1.2,
        linestyle="--",
        label="limit",
    )
    axes.bar(middle, [answered[s] for s in seconds], 0.86, color="#4c8dbf", label="answered")
    axes.bar(
        middle,
        [refused[s] for s in seconds],
        0.86,
        bottom=[answered[s] for s in seconds],
        color="#d1495b",
        label=f"refused ({sum(refused.values()) / len(requests):.1%} of requests)",
    )
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel("requests a second")
    axes.set_ylim(0, 230)
    axes.set_xlim(0, SECONDS)
    axes.legend(loc="upper right", ncols=3, frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Run twice and draw."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    draw(above, record(stated=True), "The service states its limit")
    draw(below, record(stated=False), "The service states nothing")
    below.set_xlabel("seconds")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
