"""The public face: what `oumi_fireworks` offers, and that each name is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from oumi.inference import RemoteInferenceEngine

import oumi_fireworks
from oumi_fireworks import errors
from tests.imports import PACKAGE

TABLES = {"run_table", "TableRun"}


def test_the_public_names_are_the_engine_its_options_and_every_error() -> None:
    raised = {name for name, value in vars(errors).items() if _is_error(value)}
    engine = {"FireworksInferenceEngine", "FireworksParams", "RejectedAnswer", "__version__"}
    engine |= TABLES
    assert set(oumi_fireworks.__all__) == engine | raised
    assert all(hasattr(oumi_fireworks, name) for name in oumi_fireworks.__all__)


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    drawn = errors.__doc__ or ""
    for name, value in vars(errors).items():
        if _is_error(value):
            assert f"{name} " in drawn, f"{name} is not drawn"
            assert issubclass(value, errors.FireworksError)


def test_the_documentation_lists_every_public_name() -> None:
    text = (Path(__file__).parents[1] / "docs" / "api.md").read_text("utf-8")
    listed = text.partition("<!-- names -->")[2].partition("<!-- /names -->")[0]
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(oumi_fireworks.__all__)


def test_the_documentation_lists_the_methods_that_oumi_does_not_declare() -> None:
    text = (Path(__file__).parents[1] / "docs" / "api.md").read_text("utf-8")
    listed = text.partition("<!-- methods -->")[2].partition("<!-- /methods -->")[0]
    declared = set(dir(RemoteInferenceEngine))
    ours = [name for name in dir(oumi_fireworks.FireworksInferenceEngine) if name[0] != "_"]
    assert re.findall(r"`(\w+)`", listed) == sorted(set(ours) - declared - {"options"})


def test_a_name_of_a_class_is_borne_once() -> None:
    """The emulator shares nothing with the rest, so it has names of its own, each once as well."""
    for is_emulator in (False, True):
        files = [
            path
            for path in PACKAGE.rglob("*.py")
            if path.is_relative_to(PACKAGE / "emulator") is is_emulator
        ]
        names = Counter(
            node.name
            for path in files
            for node in ast.parse(path.read_text("utf-8")).body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        )
        assert not [name for name, times in names.items() if times > 1]


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)
