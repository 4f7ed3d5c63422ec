"""What the library ``datasets`` writes is read without it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from oumi_fireworks.errors import InputError
from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.tables.files import find_files
from oumi_fireworks.tables.formats import FileInput


def arrow(path: Path, numbers: list[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"n": numbers})
    with pa.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)
    return path


def texts(name: str | Path) -> list[str]:
    rows = FileInput(find_files([str(name)]), InputOptions(prompt="{n}"))
    return [str(row.conversation().messages[0].content) for row in rows.rows()]


def saved(folder: Path) -> Path:
    """Write what ``save_to_disk`` writes."""
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    arrow(folder / names[0], [1, 2])
    arrow(folder / names[1], [3])
    state = {"_data_files": [{"filename": name} for name in names]}
    (folder / "state.json").write_text(json.dumps(state))
    return folder


def test_a_folder_that_was_saved(tmp_path: Path) -> None:
    assert texts(saved(tmp_path / "set")) == ["1", "2", "3"]


def test_of_several_splits_one_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "set" / "train")
    splits = tmp_path / "set" / "dataset_dict.json"
    splits.write_text('{"splits": ["train"]}')
    assert texts(tmp_path / "set") == ["1", "2", "3"]
    splits.write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputError, match=r"has the splits train, test\. Name one: .*/set/train"):
        texts(tmp_path / "set")
    assert texts(tmp_path / "set" / "train") == ["1", "2", "3"]


def test_a_folder_of_something_else_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder\. Name its files"):
        texts(tmp_path)


def test_a_name_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    version = tmp_path / "team___set" / "default" / "0.0.0" / "abc"
    arrow(version / "set-train-00000-of-00002.arrow", [1])
    arrow(version / "set-train-00001-of-00002.arrow", [2])
    assert texts("team/set") == ["1", "2"]
    arrow(version / "set-test.arrow", [9])
    arrow(version / "cache-123.arrow", [0])
    assert texts("team/set:test") == ["9"]
    with pytest.raises(InputError, match=r"several parts .*: default/test, default/train"):
        texts("team/set")
    with pytest.raises(InputError, match="no split dev; it has default/test, default/train"):
        texts("team/set:dev")
    with pytest.raises(InputError, match="There is no file other/set"):
        texts("other/set")


def test_the_library_itself_writes_so(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"n": [3, 1, 2]}).sort("n")
    table.save_to_disk(str(tmp_path / "one"), num_shards=2)
    assert texts(tmp_path / "one") == ["1", "2", "3"]
    datasets.DatasetDict({"train": table}).save_to_disk(str(tmp_path / "all"))
    assert texts(tmp_path / "all") == ["1", "2", "3"]
