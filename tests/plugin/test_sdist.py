"""The sdist: all that git tracks or would track, so that its tests find what they need."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.plugin.check_dist import unpack
from tests.plugin.environments import ROOT, build

FOR_THE_REPOSITORY_ALONE = (".ci/", ".github/", ".pre-commit-config.yaml")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout: git cannot be asked")
def test_the_sdist_holds_what_git_tracks_and_nothing_else(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    unpacked = unpack(build("sdist", tmp_path / "dist"), tmp_path / "unpacked")
    held = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert held - {"PKG-INFO"} == {
        name for name in tracked if not name.startswith(FOR_THE_REPOSITORY_ALONE)
    }
