"""A run's memory: whole, or a clear error."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.batch import ShardLimits
from oumi_fireworks.batch.manifest import Attempt, Manifest, Stage
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.shards import Shard
from oumi_fireworks.errors import ManifestError, RunMismatchError, SpoolError
from tests.disk import full_disk

STEM = "oumi-aaaaaaaaaaaaaaaa"
SHARDS = [Shard(Path(f"s-{n}"), 2, 100 + n, f"hash-{n}") for n in range(2)]
MANIFEST = Manifest(
    account="acme",
    root_url="https://a.example",
    settings={"model": "m", "temperature": 0.5, "stop": ["a"], "seed": None},
    rows=4,
    limits=ShardLimits(1000, 2),
    attempts=(
        Attempt(
            f"{STEM}-x2",
            tuple(
                PlannedJob(f"{STEM}-x2-{n}", 2, 100 + n, f"hash-{n}", Path(f"s-{n}"))
                for n in range(2)
            ),
            Stage.COLLECTED,
        ),
        Attempt(f"{STEM}-r1", (PlannedJob(f"{STEM}-r1", 1, continues=f"{STEM}-x2-0"),)),
    ),
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "run" / "run.json"
    MANIFEST.save(path)
    loaded = Manifest.load(path)
    assert loaded == MANIFEST  # but for the paths, which do not count
    assert loaded is not None
    assert [job.path for attempt in loaded.attempts for job in attempt.jobs] == [None] * 3
    assert os.listdir(path.parent) == ["run.json"]


def test_there_may_be_none(tmp_path: Path) -> None:
    assert Manifest.load(tmp_path / "run.json") is None


def test_copies_move_on() -> None:
    assert MANIFEST.last.stage is Stage.PLANNED
    assert MANIFEST.with_stage(Stage.SUBMITTED).last == replace(
        MANIFEST.last, stage=Stage.SUBMITTED
    )
    assert MANIFEST.without_last().with_attempt(MANIFEST.last) == MANIFEST


@given(st.data())
def test_a_truncated_manifest_is_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    MANIFEST.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ManifestError, match="cannot be read") as caught:
        Manifest.load(path)
    assert str(path) in str(caught.value)
    assert "batch list" in str(caught.value)
    assert f"remove {path.parent}" in str(caught.value)


def raw() -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(
        orjson.dumps(
            {
                "format": 1,
                "account": "a",
                "root_url": "r",
                "settings": {},
                "rows": 1,
                "limits": {"max_bytes": 10, "max_rows": None},
                "attempts": [
                    {
                        "batch_id": STEM,
                        "jobs": [{"job_id": STEM, "rows": 1}],
                        "stage": "planned",
                    }
                ],
            }
        )
    )
    return made


@given(st.data())
def test_a_manifest_of_another_shape_is_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    manifest = raw()
    place: Any = manifest
    keys: list[Any] = [data.draw(st.sampled_from(sorted(manifest)))]
    while isinstance(place[keys[-1]], dict | list) and place[keys[-1]] and data.draw(st.booleans()):
        place = place[keys[-1]]
        names = sorted(place) if isinstance(place, dict) else range(len(place))
        keys.append(data.draw(st.sampled_from(names)))
    place[keys[-1]] = data.draw(st.sampled_from([None, 7, "text", [], [None], {}, {"odd": 1}]))
    path.write_bytes(orjson.dumps(manifest))
    try:
        loaded = Manifest.load(path)
    except ManifestError:
        return
    assert loaded is not None
    assert loaded.last.jobs[0].job_id == STEM
    try:
        loaded.require_same("a", "r", {})
    except RunMismatchError:
        return


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"7", b'"text"', b"{}"])
def test_what_is_no_manifest_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match="cannot be read"):
        Manifest.load(path)


def test_a_manifest_of_another_format_is_for_another_version(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(orjson.dumps({**raw(), "format": 2}))
    with pytest.raises(ManifestError, match="format 2, and this version reads 1"):
        Manifest.load(path)


def test_jobs_that_are_not_the_batch_s_own_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    manifest = raw()
    manifest["attempts"][0]["jobs"][0]["job_id"] = "somebody-else-s"
    path.write_bytes(orjson.dumps(manifest))
    with pytest.raises(ManifestError, match="not its own"):
        Manifest.load(path)


def test_a_full_disk_leaves_the_manifest_before_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    MANIFEST.save(path)
    with (
        full_disk(path.stat().st_size - 1),
        pytest.raises(SpoolError, match=r"run\.json: File too large.*stands where it was"),
    ):
        MANIFEST.with_stage(Stage.SUBMITTED).save(path)
    assert Manifest.load(path) == MANIFEST


def test_the_same_again_is_accepted() -> None:
    settings = {"model": "m", "temperature": 0.5, "stop": ("a",), "seed": None}
    MANIFEST.require_same("acme", "https://a.example", settings)
    MANIFEST.require_same_input(4, SHARDS)


def test_a_setting_that_is_not_set_is_the_same_as_none() -> None:
    settings = {"model": "m", "temperature": 0.5, "stop": ["a"], "top_p": None}
    MANIFEST.require_same("acme", "https://a.example", settings)


@pytest.mark.parametrize(
    ("account", "url", "changes", "says"),
    [
        ("other", "https://a.example", {}, 'account was "acme" and is now "other"'),
        ("acme", "https://b.example", {}, 'server was "https://a.example" and is now "https://b.'),
        ("acme", "https://a.example", {"model": "n"}, 'model was "m" and is now "n"'),
        ("acme", "https://a.example", {"temperature": 1}, "temperature was 0.5 and is now 1"),
        ("acme", "https://a.example", {"top_p": 0.1}, "top_p was not set and is now 0.1"),
        ("acme", "https://a.example", {"stop": None}, r'stop was \["a"\] and is now not set'),
        ("acme", "https://a.example", {"seed": 1, "model": "n"}, 'm" and is now "n"; seed was not'),
    ],
)
def test_a_mismatch_names_what_differs(
    account: str, url: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(RunMismatchError, match=says):
        MANIFEST.require_same(account, url, {**MANIFEST.settings, **changes})


def test_a_long_value_is_cut() -> None:
    with pytest.raises(RunMismatchError) as caught:
        MANIFEST.require_same("acme", "https://a.example", {"tools": "x" * 100_000})
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("shards", "says"),
    [
        ([SHARDS[0]], "had 4 rows and has 2 now"),
        ([*SHARDS, SHARDS[0]], "had 4 rows and has 6 now"),
        ([SHARDS[0], replace(SHARDS[1], digest="other")], "as many rows as before, but other"),
        (SHARDS[::-1], "as many rows as before, but other content"),
    ],
)
def test_other_input_is_refused(shards: list[Shard], says: str) -> None:
    with pytest.raises(RunMismatchError, match=says):
        MANIFEST.require_same_input(sum(shard.rows for shard in shards), shards)
