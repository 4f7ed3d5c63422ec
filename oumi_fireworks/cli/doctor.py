"""``oumi-fireworks doctor``: is all in place for ``engine: FIREWORKS``, and if not, what to do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from oumi_fireworks.cli.checks import Check

_STYLES = {"ok": "green", "failed": "bold red", "skipped": "yellow"}
_STATUS_WIDTH, _NAME_WIDTH = 9, 14


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as one JSON object.")
    ] = False,
) -> None:
    """Check that everything is in place for [cyan]engine: FIREWORKS[/cyan].

    It looks at the versions, the URL, the key (never shown) and the account,
    asks Fireworks for the key's accounts, which costs nothing,
    and sees which class Oumi takes for FIREWORKS, and why.

    Exits with 0 when all is well and with 1 when a check failed.
    """
    from oumi_fireworks.cli.terminal import stderr, stdout

    output, progress = stdout(), stderr()
    found: list[Check] = []
    looks = _all_checks()
    while True:
        with progress.status("Loading Oumi and asking Fireworks ..."):
            check = next(looks, None)
        if check is None:
            break
        found.append(check)
        if not as_json:
            _show(output, check)
    failed = sum(check.status == "failed" for check in found)
    if as_json:
        _print_json(found)
    elif failed:
        output.print(f"\n{failed} of {len(found)} checks failed.", style="bold red")
    else:
        output.print("\nAll is well.", style="green")
    raise typer.Exit(1 if failed else 0)


def _all_checks() -> Iterator[Check]:
    """Look at one thing after another, the slow ones last."""
    import asyncio

    from oumi_fireworks.cli import checks

    yield checks.check_python()
    yield (packages := checks.check_packages())
    if not checks.complete(packages):
        return
    url, root = checks.check_url(os.environ)
    yield url
    key, secret = checks.check_key(os.environ)
    yield key
    service, accounts = asyncio.run(checks.check_service(root, secret))
    yield service
    yield checks.check_account(os.environ, accounts)
    yield from checks.check_engines()


def _show(console: Console, check: Check) -> None:
    """Print one finding; wrapped beside its name on a terminal, on one line into a pipe."""
    import textwrap

    from rich.text import Text

    margin = " " * (_STATUS_WIDTH + _NAME_WIDTH)
    text = Text()
    for line in filter(None, (check.found, check.next_step)):
        wrapped = textwrap.wrap(line, console.width - len(margin), break_on_hyphens=False)
        text.append("\n".join(margin + part for part in wrapped) + "\n")
    head = f"{check.status:<{_STATUS_WIDTH}}{check.name:<{_NAME_WIDTH}}"
    text = Text.assemble((head, _STYLES[check.status]), text[len(margin) :])
    console.print(text, end="", soft_wrap=True)


def _print_json(checks: list[Check]) -> None:
    import json
    from dataclasses import asdict

    ok = all(check.status != "failed" for check in checks)
    typer.echo(json.dumps({"ok": ok, "checks": [asdict(check) for check in checks]}, indent=2))
