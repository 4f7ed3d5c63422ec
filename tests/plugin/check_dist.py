"""Build the wheel and the sdist, install both, and run the sdist's own tests: `make dist`.

``python -m tests.plugin.check_dist [pytest's arguments]`` leaves both in ``dist/``. It needs no
network: what the project depends on is taken from the environment that runs it.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.plugin.environments import ROOT, build, make_environment


def main(arguments: list[str]) -> None:
    """Build and check; exit with the code of the first command that fails."""
    dist = ROOT / "dist"
    for old in dist.glob("oumi_fireworks-*"):
        old.unlink()
    for kind in ("wheel", "sdist"):
        made = build(kind, dist)
        with tempfile.TemporaryDirectory() as folder:
            environment = make_environment(Path(folder))
            environment.install(made)
            ours = environment.python.with_name("oumi-fireworks")
            done = environment.run(ours, "emulator", "exec", "--", ours, "models")
            print(f"{made.name}: oumi-fireworks models\n{done.stdout}")
            if done.returncode:
                sys.exit(done.stderr)
    with tempfile.TemporaryDirectory() as folder:
        unpacked = unpack(made, Path(folder))
        suite = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        sys.exit(subprocess.run(suite, cwd=unpacked, check=False).returncode)


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist; return the folder that it consists of."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return unpacked


if __name__ == "__main__":
    main(sys.argv[1:])
