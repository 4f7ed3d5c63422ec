"""Record a terminal session as a picture: every line of it was printed by the commands it shows.

Run it from the root of the repository: ``.venv/bin/python -m demo.record``. It writes
``docs/assets/session.svg``.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from oumi_fireworks.emulator import Emulator

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "assets" / "session.svg"
TASK = ROOT / "configs" / "gallery" / "tickets"

WIDTH = 96
"""Columns of the terminal."""

COMMANDS = [
    "oumi-fireworks batch check -c config.yaml --input tickets.csv | grep -E 'Rows|Tokens|Cost'",
    "oumi-fireworks batch run -c config.yaml --input tickets.csv --output labelled.jsonl",
    "tail -n 2 labelled.jsonl | cut -c 1-93",
    "oumi-fireworks batch list",
]


def run(command: str, folder: Path, environ: dict[str, str]) -> str:
    """Run a command on a terminal of its own, and return what it has shown at the end of it."""
    reading, writing = pty.openpty()
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=folder, env=environ, stdout=writing, stderr=writing, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    shown = bytearray()
    while True:
        try:
            part = os.read(reading, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    process.wait()
    os.close(reading)
    return shown.decode()


def main() -> None:
    """Run the session and write the picture."""
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    with tempfile.TemporaryDirectory() as name, Emulator(speed=400) as emulator:
        folder = Path(name)
        for each in TASK.iterdir():
            shutil.copy(each, folder)
        environ = {
            **os.environ,
            **emulator.env,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": str(WIDTH),
            "TERM": "dumb",  # lines, as in a log: a spinner cannot be seen in a picture
            "DO_NOT_TRACK": "1",
        }
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            console.print(Text.from_ansi(run(command, folder, environ).replace("\r", "")))
    picture = console.export_svg(title="against the emulator, without a key")
    # The reader's own font: nothing is loaded from elsewhere.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    PICTURE.write_text(picture.replace("Fira Code", "monospace"), "utf-8")


if __name__ == "__main__":
    main()
