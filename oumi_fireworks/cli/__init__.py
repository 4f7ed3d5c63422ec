"""The terminal's face: the command ``oumi-fireworks``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from oumi_fireworks.cli.commands import app
    from oumi_fireworks.cli.streams import mend_streams

    mend_streams()
    app()
