"""Draw docs/pacing.png: two real runs of the pump, against limits that change.

    python benchmarks/online_picture.py          # about four minutes; needs matplotlib

In the first run the server limits generated tokens, states that, and another client makes the
limit shrink; in the second it limits requests and states nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from online_child import body
from online_limits import Plan
from online_server import limited

from oumi_fireworks.online import Pump, PumpSettings

PICTURE = Path(__file__).parents[1] / "docs" / "pacing.png"

SECONDS = 100
WORKERS = 200


async def pump_for_a_while(root: str) -> None:
    """Send rows through a pump for as long as the picture is wide."""
    pump = Pump(PumpSettings(url=f"{root}/inference/v1/chat/completions", workers=WORKERS))

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        end = asyncio.get_running_loop().time() + SECONDS
        row = 0
        while asyncio.get_running_loop().time() < end:
            yield row, body(row)
            row += 1

    await pump.run(rows(), lambda _row, _outcome: None)
    await pump.close()


def record(plan: Plan) -> dict[str, Any]:
    """Run once, and return what the server saw."""
    with limited(plan) as server:
        asyncio.run(pump_for_a_while(server.root))
        return server.facts(times=True)


def draw(axes: Axes, facts: dict[str, Any], limit: list[tuple[float, float]], title: str) -> None:
    """Draw requests per second against the limit."""
    times = [(when, admitted) for when, admitted in facts["times"]]
    answered = Counter(int(when) for when, admitted in times if admitted)
    refused = Counter(int(when) for when, admitted in times if not admitted)
    seconds = range(SECONDS)
    middle = [second + 0.5 for second in seconds]
    axes.plot(
        [when for when, _ in limit],
        [per_second for _, per_second in limit],
        color="#444444",
        linewidth=1.2,
        linestyle="--",
        label="limit",
    )
    axes.bar(middle, [answered[s] for s in seconds], 0.86, color="#4c8dbf", label="let through")
    axes.bar(
        middle,
        [refused[s] for s in seconds],
        0.86,
        bottom=[answered[s] for s in seconds],
        color="#d1495b",
        label=f"refused ({facts['refused'] / len(times):.1%} of requests)",
    )
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel("requests a second")
    axes.set_xlim(0, SECONDS)
    axes.legend(loc="upper right", ncols=3, frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Run twice and draw."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    plan = Plan("tokens", cut_at=60.0)
    facts = record(plan)
    limit = [(when, tokens / 60 / plan.tokens) for when, tokens in facts["limits"]]
    draw(above, facts, limit, "Token limits, stated; another client makes them shrink at 60 s")
    above.set_ylim(0, 90)
    facts = record(Plan("requests", per_second=100.0))
    limit = [(0.0, 100.0), (SECONDS, 100.0)]
    draw(below, facts, limit, "6,000 requests a minute, nothing stated")
    below.set_ylim(0, 260)
    below.set_xlabel("seconds")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
