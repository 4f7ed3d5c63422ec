"""What the start-up file does to every Python process, with a stand-in for Oumi's slow module."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.plugin.environments import Environment, build, make_environment

ASK = "import oumi.builders.inference_engines as engines; print(engines.ENGINE_MAP)"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = make_environment(tmp_path_factory.mktemp("environment"))
    made.install(build("wheel", tmp_path_factory.mktemp("wheel")))
    return made


@pytest.fixture
def environment(tmp_path: Path, installed: Environment) -> Environment:
    """A copy of the installed wheel, to be damaged."""
    made = make_environment(tmp_path / "environment")
    shutil.copytree(installed.site_packages, made.site_packages, dirs_exist_ok=True)
    return made


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A folder with an `oumi` that has a table of engines and nothing else."""
    package = tmp_path / "stand-in" / "oumi" / "builders"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "inference_engines.py").write_text("ENGINE_MAP = {'stock': True}\n")
    return package.parents[1]


def imported(environment: Environment, *flags: str) -> set[str]:
    """The modules that Python imports before it runs anything."""
    done = environment.run(*flags, "-X", "importtime", "-c", "pass")
    assert done.returncode == 0
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E",)])
def test_starting_python_imports_one_small_module_more(
    environment: Environment, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    bare = make_environment(tmp_path / "bare")
    assert imported(environment, *flags) - imported(bare, *flags) == {"_oumi_fireworks_startup"}


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E",), ("-S",), ("-W", "error")])
def test_starting_python_prints_nothing(environment: Environment, flags: tuple[str, ...]) -> None:
    done = environment.run(*flags, "-c", "")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "removed",
    ["_oumi_fireworks_startup.py", "_oumi_fireworks_loader.py"],
)
def test_a_half_removed_package_goes_unnoticed(
    environment: Environment, stand_in: Path, removed: str
) -> None:
    (environment.site_packages / removed).unlink()
    done = environment.run("-c", ASK, path=stand_in)
    assert (done.stdout, done.stderr) == ("{'stock': True}\n", "")


@pytest.mark.parametrize("flags", [(), ("-W", "error")])
def test_a_failing_loader_is_a_warning_and_never_breaks_the_import(
    environment: Environment, stand_in: Path, flags: tuple[str, ...]
) -> None:
    (environment.site_packages / "oumi_fireworks" / "plugin.py").unlink()
    done = environment.run(*flags, "-c", ASK, path=stand_in)
    assert done.stdout == "{'stock': True}\n"
    assert "RuntimeWarning: oumi-fireworks did not register" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_in_the_module_itself_is_its_own(environment: Environment, stand_in: Path) -> None:
    (stand_in / "oumi" / "builders" / "inference_engines.py").write_text("import not_there\n")
    done = environment.run("-c", ASK, path=stand_in)
    assert "No module named 'not_there'" in done.stderr
    assert "oumi-fireworks did not register" not in done.stderr


def test_a_module_that_nobody_finds_is_not_found(environment: Environment, stand_in: Path) -> None:
    (stand_in / "oumi" / "builders" / "inference_engines.py").unlink()
    done = environment.run("-c", ASK, path=stand_in)
    assert "No module named 'oumi.builders.inference_engines'" in done.stderr


def test_two_hooks_that_ask_each_other_come_to_an_end(
    environment: Environment, stand_in: Path
) -> None:
    code = """
import importlib.machinery, json, sys

ours = sys.meta_path[0]

class Wrapping(importlib.machinery.PathFinder):
    '''A hook that asks all the finders but itself.'''
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        others = [finder for finder in sys.meta_path if finder is not cls]
        return next(filter(None, (other.find_spec(name, path, target) for other in others)), None)

sys.meta_path.insert(0, Wrapping)
import oumi.builders.inference_engines as engines
print(json.dumps([type(ours).__name__, list(engines.ENGINE_MAP)]))
"""
    done = environment.run("-c", code, path=stand_in, OUMI_FIREWORKS_LOADER="off")
    assert json.loads(done.stdout) == ["EngineFinder", ["stock"]]
