"""Answers of a batch under ``infer`` that find no place, or are there already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.batch.folder import OwnFolder
from oumi_fireworks.emulator import Emulator
from oumi_fireworks.engine.scratch import save_to_scratch
from oumi_fireworks.errors import IncompleteBatchError, RunMismatchError, SpoolError
from tests.disk import full_disk
from tests.engine.batch_mode.support import (
    assert_answers,
    at_first_look,
    folder_of,
    scratch_rows,
    to,
    uploads,
)
from tests.engine.conftest import EngineFactory, ask, questions, read


@contextmanager
def no_place_for_answers(output: Path) -> Iterator[None]:
    """While a batch runs, put something in the way of Oumi's scratch files; expect an error."""
    in_the_way = output.parent / "scratch"
    with (
        at_first_look(lambda _job_id: in_the_way.write_text("a file, not a folder")),
        pytest.raises(SpoolError, match=r"scratch.*nothing is paid twice"),
    ):
        yield
    in_the_way.unlink()


def test_a_full_disk_leaves_the_scratch_file_as_it_was(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch.jsonl"
    save_to_scratch(scratch, questions(2))
    before = scratch.read_bytes()
    with (
        full_disk(len(before) + 1),
        pytest.raises(SpoolError, match=r"scratch\.jsonl: File too large.*safe"),
    ):
        save_to_scratch(scratch, questions(1))
    assert scratch.read_bytes() == before
    assert list(tmp_path.iterdir()) == [scratch]
    save_to_scratch(scratch, questions(1))
    assert [each["messages"] for each in read(scratch)] == [
        each.to_dict()["messages"] for each in [*questions(2), *questions(1)]
    ]


def test_answers_that_find_no_place_are_not_paid_for_again(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path
) -> None:
    with no_place_for_answers(output):
        engine.infer(questions(3), to(output))
    assert len(at_emulator.jobs) == 1
    assert_answers(engine.infer(questions(3), to(output)))
    assert len(at_emulator.jobs) == 1


@pytest.mark.parametrize("way", ["infer", "infer_partial"])
@pytest.mark.parametrize("mode", ["batch", "online"])
def test_answers_that_the_output_does_not_take_are_not_paid_for_again(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path, mode: str, way: str
) -> None:
    engine = make_batch_engine(mode=mode)
    output.mkdir()
    with pytest.raises(IsADirectoryError):
        getattr(engine, way)(questions(3), to(output))
    asked = len(at_emulator.requests_to("POST", "completions|batchInferenceJobs"))
    output.rmdir()
    getattr(engine, way)(questions(3), to(output))
    assert len(at_emulator.requests_to("POST", "completions|batchInferenceJobs")) == asked
    assert_answers([Conversation.from_dict(row) for row in read(output)])
    assert scratch_rows(output) == 0


def test_a_run_killed_after_its_answers_were_kept_is_over(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    engine = make_batch_engine(row_retries=0, delete_datasets=True)
    conversations = [*questions(2), ask("number 2? [[flaky]]")]
    folder = folder_of(output)
    OwnFolder(folder, ()).claim()
    # What somebody waits for is not removed: it stays as a kill at this moment leaves it.
    with FileLock(folder / "waiting-1"), pytest.raises(IncompleteBatchError):
        engine.infer(conversations, to(output))
    assert scratch_rows(output) == 2
    with pytest.raises(RunMismatchError, match=r"3 rows and has 4 now.* is kept in .*scratch"):
        engine.infer([*conversations, ask("number 3?")], to(output))
    assert uploads(at_emulator) == [3]
    assert_answers(engine.infer(conversations, to(output)))
    assert uploads(at_emulator) == [3, 1]
    assert not folder.exists()


def test_a_run_killed_after_all_its_answers_were_kept_is_forgotten_with_the_output(
    make_batch_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    engine, folder = make_batch_engine(delete_datasets=True), folder_of(output)
    output.mkdir()  # so that the answers come as far as the scratch file
    OwnFolder(folder, ()).claim()
    # What somebody waits for is not removed: it stays as a kill at this moment leaves it.
    with FileLock(folder / "waiting-1"), pytest.raises(IsADirectoryError):
        engine.infer(questions(3), to(output))
    assert scratch_rows(output) == 3
    assert not [each.id for each in at_emulator.datasets if each.deleted]
    output.rmdir()
    assert_answers(engine.infer(questions(3), to(output)))
    assert not folder.exists()
    assert all(each.deleted for each in at_emulator.datasets)
    assert len(at_emulator.jobs) == 1


def test_a_finished_output_is_not_written_again(
    engine: FireworksInferenceEngine, at_emulator: Emulator, output: Path
) -> None:
    engine.infer(questions(2), to(output))
    before = output.stat()
    assert_answers(engine.infer(questions(2), to(output)))
    engine.infer_partial(questions(2), to(output))
    assert (output.stat().st_mtime_ns, output.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert len(at_emulator.jobs) == 1
