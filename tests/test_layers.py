"""Imports point down only, and the light entrances load nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "oumi_fireworks"

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "loop": set(),
    "emulator": set(),
    "report": set(),
    "plugin": set(),
    "params": {"errors"},
    "api": {"errors"},
    "display": {"api", "batch", "errors"},
    "conversion": {"params", "api", "errors"},
    "online": {"api", "loop", "errors"},
    "batch": {"api", "errors"},
    "tables": {"params", "conversion", "api", "errors", "display"},
    "engine": {
        "params", "conversion", "api", "online", "batch", "loop", "display", "tables", "errors",
    },
    "cli": {
        "params", "conversion", "api", "online", "batch", "loop", "display", "tables", "errors",
        "engine", "report", "emulator", "plugin",
    },
    "__init__": {"engine", "params", "errors"},  # on first use
}  # fmt: skip
"""Which rooms and root modules each of them may import."""

MAY_IMPORT_OUMI = {"plugin", "cli", "engine", "conversion", "params", "tables"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that a module imports, wherever in it, also by its text."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom():
                yield "(a relative import)"
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_the_layers_below_its_own(module: Path) -> None:
    layer = layer_of(module)
    allowed = {layer, "__version__"} | MAY_IMPORT[layer]
    for name in imports_of(ast.parse(module.read_text())):
        top, _, rest = name.partition(".")
        assert top != "(a relative import)", "say the whole name"
        if top == "oumi_fireworks":
            assert rest.partition(".")[0] in allowed, f"{layer} may not import {name}"
        if top == "oumi":
            assert layer in MAY_IMPORT_OUMI, f"{layer} may not import {name}"
        if layer == "loop":
            assert top in sys.stdlib_module_names, f"{layer} may not import {name}"


@pytest.mark.parametrize("module", ["_oumi_fireworks_startup", "_oumi_fireworks_loader"])
def test_what_runs_while_python_starts_or_looks_for_a_module_imports_only_sys(module: str) -> None:
    tree = ast.parse(PACKAGE.with_name(f"{module}.py").read_text())
    at_import = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in at_import] == ["import sys"]


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh Python; return the modules that it has loaded at the end."""
    show = "\nimport sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + show], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_importing_the_package_loads_neither_oumi_nor_aiohttp() -> None:
    loaded = loaded_after("import oumi_fireworks; oumi_fireworks.__version__")
    assert "oumi_fireworks" in loaded
    assert not loaded & {"oumi", "aiohttp", "torch", "typer", "oumi_fireworks.engine"}


def test_help_loads_nothing_that_the_commands_need() -> None:
    code = """
import sys
from click.testing import CliRunner
from typer.main import get_command
from oumi_fireworks.cli.app import app

def help_of(command, *path):
    result = CliRunner().invoke(root, [*path, "--help"])
    assert "Usage" in result.output, (path, result)
    for name, inner in getattr(command, "commands", {}).items():
        help_of(inner, *path, name)

root = get_command(app)
help_of(root)
"""
    loaded = loaded_after(code)
    assert "oumi_fireworks.cli.doctor" in loaded
    assert not loaded & {"oumi", "torch", "transformers", "aiohttp", "oumi_fireworks.api"}
