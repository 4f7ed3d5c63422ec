"""Whose folder a run's folder is, and two runs in one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from oumi_fireworks.batch.folder import MARKER
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.errors import ForeignFolderError, SpoolError
from tests.api.support import with_client
from tests.batch.run.support import advance, finish
from tests.batch.support import a_run, prepare, require_own_answers, source


@pytest.mark.parametrize("what", ["results", "lock", "run.json", "notes.txt"])
def test_a_folder_of_the_user_s_own_is_refused_and_left_alone(
    emulator: Emulator, folder: Path, what: str
) -> None:
    folder.mkdir()
    (folder / what).write_text("mine")
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ForeignFolderError, match=r"not made by.*Nothing in it was touched"):
        advance(emulator, a_run(folder, source(2)))
    assert sorted(path.name for path in folder.iterdir()) == sorted([what, "mine.txt"])
    assert emulator.requests == []


@pytest.mark.parametrize("name", [MARKER, "lock"])
def test_a_link_in_the_place_of_a_file_of_ours_is_not_followed(
    emulator: Emulator, folder: Path, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    folder.mkdir()
    (folder / name).symlink_to(victim)
    with suppress(SpoolError):
        advance(emulator, a_run(folder, source(2)))
    assert victim.read_text() == "theirs"


def test_what_the_user_puts_beside_our_files_stays(emulator: Emulator, folder: Path) -> None:
    run = a_run(folder, source(2))
    advance(emulator, run)
    (folder / "notes.txt").write_text("mine")
    finish(emulator, run)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_an_empty_folder_of_the_user_s_own_is_used_and_left_there(
    emulator: Emulator, folder: Path
) -> None:
    folder.mkdir()
    run = a_run(folder, source(2))
    advance(emulator, run)
    assert run.manifest_path.exists()
    finish(emulator, run)
    assert list(folder.iterdir()) == []


def test_a_folder_that_an_earlier_version_has_made_is_ours(
    emulator: Emulator, folder: Path
) -> None:
    run = a_run(folder, source(2))
    with run.lock():
        with_client(emulator, lambda client: prepare(run, client))
    (folder / MARKER).unlink()
    require_own_answers(advance(emulator, a_run(folder, source(2))).index, 2)
    assert len(emulator.jobs) == 1


def test_the_second_of_two_waits_for_the_first_and_delivers_the_same(
    emulator: Emulator, folder: Path
) -> None:
    first, second = a_run(folder, source(3)), a_run(folder, source(3))

    def join() -> None:
        with second.lock(wait=True):
            require_own_answers(with_client(emulator, second.advance).index, 3)
            with_client(emulator, second.finish)

    with ThreadPoolExecutor(1) as pool:
        with first.lock():
            other = pool.submit(join)
            while not list(folder.glob("waiting-*")):
                assert not other.done()
            with_client(emulator, first.advance)
            with_client(emulator, first.finish)
            assert first.manifest_path.exists()  # for the other
        other.result()
    assert len(emulator.jobs) == 2
    assert not folder.exists()
