"""Draw which room imports which, from the source: ``python -m docs.draw_architecture``.

Writes ``docs/architecture.svg``. A room stands above every room that it imports. An arrow that
follows from others, since the room is reached through a third one too, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

from tests.imports import PACKAGE, arrows, imports_of

DRAWING = Path(__file__).with_name("architecture.svg")

Graph = Mapping[str, set[str]]

SAYS = {
    "__init__": "the public names",
    "cli": "oumi-fireworks",
    "engine": "Oumi's contract",
    "accept": "whether it holds",
    "conversion": "Oumi ⇄ Fireworks",
    "tables": "input and output",
    "display": "console, progress",
    "batch": "one batch run",
    "online": "the pump",
    "money": "prices, budgets",
    "cache": "answers that stay",
    "api": "Fireworks over HTTP",
    "events": "file, phone, OTel",
    "report": "the page on a batch",
    "distributed": "Ray's blocks",
    "emulator": "a Fireworks server",
    "plugin": "how Oumi finds us",
    "params": "the options",
    "options": "declared and checked",
    "errors": "the tree of errors",
    "loop": "a loop on a thread",
    "files": "whole or not at all",
    "request_fields": "what is allowed",
    "completions": "what a completion is",
    "prompts": "digests of prompts",
    "user_json": "any JSON of users",
    "safe_text": "others' text",
    "grammar": "counts, full stops",
    "logs": "safe loggers",
    "signals": "SIGTERM, SIGHUP",
    "garbage": "when Python collects",
    "deprecation": "old places",
}
"""What a room is for, in the three words that fit; a room without an entry shows its name alone."""

WIDTH, HEIGHT = 132, 46
"""Of a room, in pixels."""
GAP, DROP = 22, 62
"""Between two rooms beside each other, and between two levels, in pixels."""
MARGIN = 16
"""Around the drawing, in pixels."""


def levels(graph: Graph) -> list[list[str]]:
    """Return the rooms by level, the top one first: each right below the last that imports it."""
    rooms = sorted({*graph, *(target for targets in graph.values() for target in targets)})

    def level_of(room: str) -> int:
        importers = [other for other in rooms if room in graph.get(other, ())]
        return 1 + max(map(level_of, importers), default=-1)

    found: list[list[str]] = [[] for _ in rooms]
    for room in rooms:
        found[level_of(room)].append(room)
    found = [level for level in found if level]
    for above, level in pairwise(found):
        level.sort(key=lambda room: (_mean_place(room, above, graph), room))
    return found


def _mean_place(room: str, above: list[str], graph: Graph) -> float:
    """Return where the rooms above that import a room stand on average, from 0 to 1."""
    places = [n / len(above) for n, other in enumerate(above) if room in graph.get(other, ())]
    return sum(places) / len(places) if places else 0.5


def follows(room: str, target: str, graph: Graph) -> bool:
    """Return whether a room reaches a target through a third room as well."""

    def reaches(start: str) -> bool:
        return start == target or any(map(reaches, graph.get(start, ())))

    return any(reaches(other) for other in graph[room] if other != target)


def draw(graph: Graph) -> str:
    """Return the drawing as SVG."""
    rows = levels(graph)
    widest = max(map(len, rows))
    width = 2 * MARGIN + widest * WIDTH + (widest - 1) * GAP
    height = 2 * MARGIN + len(rows) * HEIGHT + (len(rows) - 1) * DROP
    corner: dict[str, tuple[float, float]] = {}
    for n, row in enumerate(rows):
        left = (width - len(row) * WIDTH - (len(row) - 1) * GAP) / 2
        for place, room in enumerate(row):
            corner[room] = (left + place * (WIDTH + GAP), MARGIN + n * (HEIGHT + DROP))
    lines = [
        _arrow(corner[room], corner[target])
        for room in sorted(graph)
        for target in sorted(graph[room])
        if not follows(room, target, graph)
    ]
    lines += [_room(room, *corner[room]) for room in sorted(corner)]
    return _FRAME.format(width=width, height=height, body="\n".join(lines))


def _room(room: str, x: float, y: float) -> str:
    name = "oumi_fireworks" if room == "__init__" else room
    return (
        f'<g><rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text class="name" x="{x + WIDTH / 2:g}" y="{y + 19:g}">{escape(name)}</text>'
        f'<text x="{x + WIDTH / 2:g}" y="{y + 36:g}">{escape(SAYS.get(room, ""))}</text></g>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1 = start[0] + WIDTH / 2, start[1] + HEIGHT
    x2, y2 = end[0] + WIDTH / 2, end[1] - 3
    bend = (y2 - y1) / 2
    return (
        f'<path class="arrow" marker-end="url(#head)" '
        f'd="M{x1:g} {y1:g} C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}"/>'
    )


_FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" role="img" aria-label="Which room imports which">
<style>
  svg {{ background: #fff; font: 11px system-ui, sans-serif; }}
  rect {{ fill: #f4f6fb; stroke: #41507a; }}
  text {{ fill: #445; text-anchor: middle; }}
  .name {{ fill: #16203c; font-weight: 600; font-size: 13px; }}
  path {{ fill: none; }}
  .arrow {{ stroke: #41507a; stroke-width: 1.4; }}
</style>
<defs>
<marker id="head" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">\
<path d="M0 0L6 3L0 6Z" style="fill:#41507a"/></marker>
</defs>
{body}
</svg>
"""


def main() -> None:
    """Write the drawing."""
    DRAWING.write_text(draw(arrows(imports_of(PACKAGE))), encoding="utf-8")


if __name__ == "__main__":
    main()
