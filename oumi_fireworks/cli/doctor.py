"""``oumi-fireworks doctor``: is all in place for ``engine: FIREWORKS``, and if not, what to do."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from oumi_fireworks.cli import checks
from oumi_fireworks.cli.checks import Check
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.json_outputs import CheckOutput, DoctorOutput
from oumi_fireworks.cli.terminal import print_json, stderr, stdout
from oumi_fireworks.grammar import number
from oumi_fireworks.signals import run_whole

_STYLES = {"ok": "green", "failed": "bold red", "skipped": "yellow"}

_STATUS_WIDTH, _NAME_WIDTH = 9, 14
"""Characters."""


def doctor(*, as_json: bool) -> ExitCode:
    """Check the set-up."""
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
        print_json(DoctorOutput(ok=not failed, checks=[_as_json(check) for check in found]))
    elif failed:
        output.print(f"\n{failed} of {number(len(found), 'check')} failed.", style="bold red")
    else:
        output.print("\nAll is well.", style="green")
    return ExitCode.FAILED if failed else ExitCode.FINE


def _all_checks() -> Iterator[Check]:
    """Look at one thing after another, the slow ones last."""
    yield checks.check_python()
    yield (packages := checks.check_packages())
    if not checks.is_complete(packages):
        return
    url, root = checks.check_url(os.environ)
    yield url
    key, secret = checks.check_key(os.environ)
    yield key
    service, accounts = run_whole(lambda: checks.check_service(root, secret))
    yield service
    yield checks.check_account(os.environ, accounts)
    yield from checks.check_engines()


def _as_json(check: Check) -> CheckOutput:
    return CheckOutput(
        name=check.name,
        status=check.status,
        found=check.found,
        next_step=check.next_step,
        details=dict(check.details),
    )


def _show(console: Console, check: Check) -> None:
    """Print one finding; wrapped beside its name on a terminal, on one line into a pipe."""
    margin = " " * (_STATUS_WIDTH + _NAME_WIDTH)
    text = Text()
    for line in filter(None, (check.found, check.next_step)):
        wrapped = textwrap.wrap(line, console.width - len(margin), break_on_hyphens=False)
        text.append("\n".join(margin + part for part in wrapped) + "\n")
    head = f"{check.status:<{_STATUS_WIDTH}}{check.name:<{_NAME_WIDTH}}"
    text = Text.assemble((head, _STYLES[check.status]), text[len(margin) :])
    console.print(text, end="", soft_wrap=True)
