"""What stands on the command line beside a command's own options."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oumi_fireworks.cli.batch.table_flags import table_overrides
from oumi_fireworks.cli.exit_codes import WrongUseError

if TYPE_CHECKING:
    import typer


_SETTINGS = {"engine", "input_path", "output_path", "progress_path"}
"""Settings of Oumi's inference configuration that are not below another one."""


@dataclass(frozen=True)
class Extras:
    """Arguments that are no options of the command.

    Attributes:
        overrides: Settings that win over the configuration file, as ``key=value``.
        files: Further input files: what a shell makes of a pattern that is not quoted.
    """

    overrides: tuple[str, ...]
    files: tuple[str, ...]


def read_extras(context: typer.Context) -> Extras:
    """Sort out what stands beside a command's options.

    An override is written as ``oumi infer`` takes it, ``--generation.max_new_tokens 5`` or
    ``--generation.max_new_tokens=5``, or plainly as ``generation.max_new_tokens=5``.

    Raises:
        WrongUseError: If an argument is none of these, or looks like a misspelt option.
    """
    own = [name for parameter in context.command.params for name in parameter.opts]
    overrides = table_overrides(context)
    files: list[str] = []
    arguments = iter(context.args)
    for argument in arguments:
        if argument.startswith("--"):
            key, equals, value = argument[2:].partition("=")
            _refuse_misspelt(f"--{key}", own)
            if not equals:
                value = next(arguments, "--")
                if value.startswith("--"):
                    raise WrongUseError(f"--{key} has no value.")
            overrides.append(f"{key.strip()}={value.strip()}")
        elif argument.startswith("-"):
            raise WrongUseError(f"There is no option {argument}.")
        elif Path(argument).exists():
            files.append(argument)
        elif "=" in argument and not argument.startswith("="):
            overrides.append(argument)
        else:
            raise WrongUseError(
                f"{argument!r} is neither an option, nor an override such as "
                "generation.max_new_tokens=5, nor an input file that exists."
            )
    return Extras(tuple(overrides), tuple(files))


def _refuse_misspelt(name: str, own: Sequence[str]) -> None:
    """Catch ``--ouput`` at once: Oumi would refuse it as a setting, but takes ten seconds to."""
    if "." in name or name.removeprefix("--") in _SETTINGS:
        return
    near = difflib.get_close_matches(name, own, n=1, cutoff=0.75)
    if near:
        raise WrongUseError(f"There is no option {name}. Did you mean {near[0]}?")
