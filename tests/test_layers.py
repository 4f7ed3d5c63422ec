"""Imports point down only, and the light entrances load nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import PACKAGE, arrows, circles, file_arrows, imports_of, room_of

MAY_IMPORT: dict[str, set[str]] = {
    "garbage": set(),
    "grammar": set(),
    "safe_text": set(),
    "accept": {"errors", "completions", "request_fields", "grammar"},
    "errors": {"safe_text", "grammar"},
    "deprecation": {"errors"},
    "files": {"errors", "grammar"},
    "logs": {"safe_text"},
    "api": {"safe_text", "errors", "deprecation", "files", "logs", "grammar"},
    "completions": set(),
    "cache": {"errors", "files", "logs", "api", "completions", "user_json", "grammar"},
    "prompts": set(),
    "user_json": set(),
    "batch": {
        "errors", "deprecation", "files", "garbage", "logs", "api", "completions", "prompts",
        "user_json", "money", "accept", "cache", "grammar",
    },
    "loop": {"signals"},
    "request_fields": {"errors", "grammar"},
    "display": {"safe_text", "logs", "api", "batch", "online", "grammar"},
    "money": {"completions", "errors", "files", "request_fields", "grammar"},
    "online": {"errors", "files", "logs", "api", "completions", "loop", "money", "grammar"},
    "events": {
        "safe_text", "errors", "files", "logs", "batch", "online", "money", "display", "grammar",
    },
    "options": {"accept", "errors", "request_fields"},
    "params": {"accept", "errors", "options", "request_fields"},
    "signals": set(),
    "conversion": {"errors", "completions", "prompts", "user_json", "request_fields", "grammar"},
    "engine": {
        "errors", "files", "garbage", "logs", "api", "user_json", "batch", "loop", "display",
        "events", "online", "params", "signals", "conversion", "tables", "options", "money",
        "accept", "cache", "completions", "grammar",
    },
    "distributed": {
        "accept", "api", "batch", "conversion", "engine", "errors", "events", "logs", "money",
        "params", "options", "tables", "user_json", "grammar",
    },
    "emulator": set(),
    "plugin": {"grammar"},
    "report": {"safe_text", "files", "display", "money", "completions", "grammar"},
    "tables": {
        "errors", "files", "api", "completions", "user_json", "request_fields", "money",
        "options", "batch", "conversion", "grammar",
    },
    "__init__": {"errors", "params", "engine", "cli"},  # on first use
    "cli": {
        "safe_text", "logs", "errors", "files", "api", "user_json", "batch", "display", "online",
        "events", "params", "request_fields", "options", "signals", "conversion", "engine",
        "emulator", "distributed", "plugin", "report", "tables", "money", "accept",
        "cache", "grammar",
    },
}  # fmt: skip
"""Which rooms and root modules each of them may import."""

MAY_IMPORT_OUMI = {"plugin", "distributed", "cli", "engine", "conversion", "params", "tables"}

HEAVY = {
    "pandas": "only for tables of its kind",
    "polars": "only for tables of its kind",
    "oumi": "brings torch with most of its modules: ten seconds and a gigabyte",
    "genai_prices": "half a second, for a price only",
    "jsonschema": "a tenth of a second: only where answers are held against a schema",
    "referencing": "as jsonschema",
    "fsspec": "only for files that are somewhere else",
    "zstandard": "only for input that is packed",
    "resource": "not on Windows",
    "asyncio": "a tenth of the time of a --help, which runs no loop",
    "ray": "an extra, for those who have a cluster",
    "trustme": "an extra, for an emulator that speaks TLS",
    "apprise": "the extra notify",
    "opentelemetry": "the extra otel",
    "importlib": "only for a public name's first use",
}
"""What may be imported inside a function, wherever it is: by top-level name, with the reason."""

LATE: dict[str, str] = {
    "cli/__init__.py": "errors of importing the commands are reported like any other",
    "cli/commands.py": "a signature loads nothing; a command loads its module when it runs",
    "cli/batch/commands.py": "a signature loads nothing; a command loads its module when it runs",
    "cli/emulator/commands.py": "the same",
    "cli/checks.py": "doctor has to report a broken Oumi or aiohttp, not to break with it",
    "cli/ending.py": "errors are shown with rich, which a command that succeeds does not need",
    "engine/engine.py": "pyarrow is loaded only for a table",
    "engine/__init__.py": "loaded on first use: the reader of the configuration needs no Oumi",
    "emulator/pytest_plugin.py": "pytest loads it at each start; a fixture loads what it needs",
    "tables/kept_outputs.py": "pyarrow and what uses it are loaded only for a table",
    "tables/sinks.py": "pyarrow and what uses it are loaded only for a table",
    "tables/formats.py": "pyarrow and what uses it are loaded only for a table",
    "report/builder.py": "jinja2 is loaded only when the page is written",
}
"""Files that may import what is ours inside a function, with the reason."""

IMPORTS = imports_of(PACKAGE)
FILES = sorted({each.file for each in IMPORTS})


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_imports_only_the_rooms_below_its_own(file: Path) -> None:
    room = room_of(file)
    allowed = {room, "__version__", "__init__"} | MAY_IMPORT[room]
    for each in IMPORTS:
        if each.file != file:
            continue
        where = f"oumi_fireworks/{file}:{each.line}"
        assert each.name, f"{where}: say the whole name"
        assert each.target is None or each.target in allowed, f"{where}: {room} -> {each.name}"
        top = each.name.partition(".")[0]
        assert top != "oumi" or room in MAY_IMPORT_OUMI, f"{where}: {room} -> {each.name}"
        if room == "loop" and each.target is None:
            assert top in sys.stdlib_module_names, f"{where}: {room} -> {each.name}"


def test_every_room_has_its_line_here_and_no_line_is_left_over() -> None:
    assert set(MAY_IMPORT) == {room_of(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}


def test_every_arrow_that_is_allowed_is_used() -> None:
    used = arrows(IMPORTS)
    assert {(room, target) for room, targets in MAY_IMPORT.items() for target in targets} == {
        (room, target) for room, targets in used.items() for target in targets
    }


def test_neither_rooms_nor_files_import_each_other_in_a_circle() -> None:
    assert circles(arrows(IMPORTS)) == []
    assert circles(file_arrows(IMPORTS, PACKAGE)) == []


def test_an_import_inside_a_function_has_a_reason() -> None:
    for each in IMPORTS:
        top = each.name.partition(".")[0]
        allowed = str(each.file) in LATE if top == "oumi_fireworks" else top in HEAVY
        where = f"oumi_fireworks/{each.file}:{each.line}"
        assert allowed or not each.lazy, f"{where}: put the import of {each.name} at the top"


def test_every_reason_is_still_needed() -> None:
    lazy = [each for each in IMPORTS if each.lazy]
    tops = {each.name.partition(".")[0] for each in lazy}
    assert set(HEAVY) <= tops
    assert set(LATE) == {str(each.file) for each in lazy if each.target is not None}


def test_an_import_counts_wherever_it_stands(tmp_path: Path) -> None:
    package = tmp_path / "oumi_fireworks"
    (package / "low").mkdir(parents=True)
    (package / "low" / "a.py").write_text("def f():\n    from oumi_fireworks.high import b\n")
    (package / "high").mkdir()
    (package / "high" / "b.py").write_text(
        "import json\nfrom importlib import import_module\nimport_module('oumi_fireworks.low.a')\n"
    )
    found = imports_of(package)
    assert [(str(each.file), each.line, each.name, each.lazy) for each in found] == [
        ("high/b.py", 1, "json", False),
        ("high/b.py", 2, "importlib.import_module", False),
        ("high/b.py", 3, "oumi_fireworks.low.a", False),
        ("low/a.py", 2, "oumi_fireworks.high.b", True),
    ]
    assert arrows(found) == {"high": {"low"}, "low": {"high"}}
    assert circles(arrows(found)) == [["high", "low"]]
    assert circles(file_arrows(found, package)) == [
        ["oumi_fireworks.high.b", "oumi_fireworks.low.a"]
    ]


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
from oumi_fireworks.cli.commands import app

def help_of(command, *path):
    result = CliRunner().invoke(root, [*path, "--help"])
    assert "Usage" in result.output, (path, result)
    for name, inner in getattr(command, "commands", {}).items():
        help_of(inner, *path, name)

root = get_command(app)
help_of(root)
"""
    loaded = loaded_after(code)
    assert "oumi_fireworks.cli.batch.commands" in loaded
    assert not loaded & {"oumi", "torch", "transformers", "aiohttp", "oumi_fireworks.api"}


def test_what_the_command_line_shares_with_the_engine_loads_no_torch() -> None:
    loaded = loaded_after(
        "from oumi_fireworks.engine import conversations, run_folder, wiring\n"
        "from oumi_fireworks.display import batch_progress, console, words"
    )
    assert "oumi_fireworks.engine.wiring" in loaded
    assert not loaded & {"torch", "oumi.core.configs", "oumi.inference"}


def test_lines_of_json_go_in_and_out_without_pyarrow() -> None:
    loaded = loaded_after(
        "from oumi_fireworks.cli.batch import online, run, results, retry, check, submit\n"
        "from oumi_fireworks.options.tables import InputOptions, OutputOptions\n"
        "from oumi_fireworks.tables.formats import FileInput\n"
        "from oumi_fireworks.tables.output import StandardOutput\n"
        "from oumi_fireworks.tables.sinks import open_sink\n"
        "rows = FileInput([], InputOptions())\n"
        "list(rows.rows()); open_sink(StandardOutput(), OutputOptions(), rows, {})"
    )
    assert "oumi_fireworks.tables.conversation_sink" in loaded
    assert not loaded & {"pyarrow", "fsspec", "pandas", "polars", "datasets"}
