"""What the package imports is what it asks for, no more and no less."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

from tests.imports import PACKAGE, imports_of

PYPROJECT = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


_OF_CALLERS = {"pandas", "polars"}
"""Libraries that are loaded only by who hands a table of theirs over."""

_DRIVERS = ("s3", "gcs", "hf")
"""Extras that fsspec loads, and nobody else."""


def test_every_dependency_is_declared_and_every_declared_one_is_imported() -> None:
    homes = packages_distributions()
    imported = {each.name.partition(".")[0] for each in imports_of(PACKAGE)}
    foreign = (
        imported - set(sys.stdlib_module_names) - {"oumi_fireworks", "_typeshed"} - _OF_CALLERS
    )
    project = tomllib.loads(PYPROJECT)["project"]
    extras = project["optional-dependencies"]
    left_out = {"dev", "docs", *_DRIVERS}
    for_users = [each for name, asked in extras.items() if name not in left_out for each in asked]
    asked = {_name(each) for each in [*project["dependencies"], *for_users]}
    bringing = {top: {_name(each) for each in homes.get(top, [top])} for top in foreign}
    assert {top for top, names in bringing.items() if not names & asked} == set()
    assert asked - set().union(*bringing.values()) == set()


def test_every_lower_bound_says_what_needs_it() -> None:
    project = tomllib.loads(PYPROJECT)["project"]
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *chain.from_iterable(extras.values())]:
        assert ">=" in requirement
        assert re.search(rf'"{re.escape(requirement)}", +# \S', PYPROJECT), requirement


def test_the_versions_that_are_pinned_are_those_that_are_asked_for() -> None:
    project = tomllib.loads(PYPROJECT)["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = (Path(__file__).parents[1] / "constraints.txt").read_text("utf-8")
    names = {_name(line) for line in pinned.splitlines() if not line.startswith("#")}
    assert names == {_name(each) for each in asked} | {"uv"}
