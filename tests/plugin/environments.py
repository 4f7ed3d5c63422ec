"""Environments of their own to install into, which see the packages of this one."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        python: Its interpreter.
        site_packages: The folder that packages are installed into.
    """

    python: Path
    site_packages: Path

    def install(self, *what: str | Path) -> None:
        """Install with pip, without dependencies, a build environment or a network."""
        offline = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            self.python,
            "install",
            *offline,
        ]
        subprocess.run([*command, *what], check=True)

    def install_engine(self, distribution: str, entry_point: str) -> None:
        """Lay down an installed distribution that has nothing but an engine's entry point."""
        folder = self.site_packages / f"{distribution.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (folder / "entry_points.txt").write_text(f"[oumi.inference_engines]\n{entry_point}\n")

    def run(
        self, *arguments: str | Path, path: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run its Python outside the project's folder, which would be importable from there."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "OUMI_FIREWORKS", "FIREWORKS"))
        }
        environment |= {"DO_NOT_TRACK": "1", "PYTHONPATH": str(path or ""), **variables}
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.python.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def make_environment(folder: Path) -> Environment:
    """Make an environment that has what is installed here, except for its ``.pth`` files."""
    venv.create(folder, symlinks=True)
    paths = sysconfig.get_paths("venv", {"base": str(folder), "platbase": str(folder)})
    site_packages = Path(paths["purelib"])
    (site_packages / "host.pth").write_text(sysconfig.get_path("purelib"))
    return Environment(Path(paths["scripts"]) / "python", site_packages)


def build(kind: str, folder: Path) -> Path:
    """Build the project's "wheel" or "sdist" into a folder; return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[kind])
    return made
