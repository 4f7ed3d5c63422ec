"""What a run keeps on the disk holds prompts and answers: it is for its user alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from oumi_fireworks.batch import BatchRun, RunOptions, ShardLimits, WaitPolicy
from tests.api.support import with_client
from tests.batch.support import SPEC, quick_emulator, source


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_folder_is_0700_and_files_are_0600_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    folder = tmp_path / "out.jsonl.run"
    options = RunOptions(limits=ShardLimits(max_rows=2), wait_policy=WaitPolicy(poll_interval=0.01))
    run = BatchRun(folder, source(4), SPEC, {}, options)
    seen: dict[str, int] = {}
    folders: set[str] = set()

    def look(_: object) -> None:
        for path in [folder, *folder.rglob("*")]:
            name = str(path.relative_to(tmp_path))
            seen[name] = stat.S_IMODE(path.lstat().st_mode)
            if path.is_dir():
                folders.add(name)

    before = os.umask(umask)
    try:
        with quick_emulator() as emulator, run.lock():
            with_client(emulator, lambda client: run.advance(client, look))
            look(None)
    finally:
        os.umask(before)
    assert {".json", ".jsonl", ".oumi-fireworks"} <= {
        Path(name).suffix or Path(name).name for name in seen
    }
    assert {(name in folders, oct(mode)) for name, mode in seen.items()} == {
        (True, "0o700"),
        (False, "0o600"),
    }
