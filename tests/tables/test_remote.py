"""Files that are somewhere else: in memory, in a bucket of an S3 server on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from oumi_fireworks.errors import ConfigurationError, InputError, WriteError
from oumi_fireworks.options.tables import InputOptions
from oumi_fireworks.tables.formats import FileInput
from oumi_fireworks.tables.remote import RemoteFile, RemoteOutput, find_remote, scheme_of


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of a bucket."""
    with pytest.MonkeyPatch.context() as patch:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        file_system = fsspec.filesystem("s3", skip_instance_cache=True)
        file_system.mkdir("bucket")
        yield "s3://bucket"
        fsspec.filesystem("s3").clear_instance_cache()
        server.stop()


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of a folder in memory."""
    yield "memory://folder"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest) -> str:
    """The URL of a folder."""
    url: str = request.getfixturevalue(request.param)
    return url


def texts(url: str, **options: Any) -> list[str]:
    rows = FileInput(find_remote(url), InputOptions(**options))
    return [str(row.conversation().messages[-1].content) for row in rows.rows()]


def put(url: str, content: bytes) -> str:
    with fsspec.open(url, "wb") as file:
        file.write(content)
    return url


def parquet(numbers: list[int]) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": numbers}), buffer)
    return bytes(buffer.getvalue())


def test_tables_are_read_from_elsewhere_by_name_and_by_pattern(place: str) -> None:
    put(f"{place}/a/2.parquet", parquet([3]))
    put(f"{place}/a/1.parquet", parquet([1, 2]))
    assert texts(f"{place}/a/1.parquet", prompt="{n}") == ["1", "2"]
    assert texts(f"{place}/a/*.parquet", prompt="{n}") == ["1", "2", "3"]


def test_lines_and_csv_are_read_from_elsewhere(place: str) -> None:
    put(f"{place}/in.jsonl", b'{"messages": [{"role": "user", "content": "a"}]}\n')
    put(f"{place}/in.csv", b"n\n7\n")
    assert texts(f"{place}/in.jsonl") == ["a"]
    assert texts(f"{place}/in.csv", prompt="{n}") == ["7"]


def test_what_is_not_there_is_said(place: str) -> None:
    with pytest.raises(InputError, match=r"There is no file .*/none\.csv"):
        find_remote(f"{place}/none.csv")
    with pytest.raises(InputError, match=r"No file matches .*/none/\*\.csv"):
        find_remote(f"{place}/none/*.csv")


def test_an_output_is_there_as_a_whole_or_not_at_all(place: str, tmp_path: Path) -> None:
    output = RemoteOutput(f"{place}/out.csv", tmp_path / "run")
    assert not output.exists()
    with pytest.raises(ZeroDivisionError), output.writing() as file:
        file.write(b"half" * (1 // 0))
    assert not output.exists()
    assert not output.was_begun()
    with output.writing() as file:
        file.write(b"whole")
    assert output.was_begun()
    assert RemoteFile(output.url).open().read() == b"whole"
    with output.errors.writing(unless_empty=True):
        pass
    assert not output.errors.exists()


def test_an_empty_file_of_failures_takes_the_one_before_away(memory: str, tmp_path: Path) -> None:
    url = put(f"{memory}/out.errors.jsonl", b"before")
    output = RemoteOutput(url, tmp_path)
    with output.writing(unless_empty=True):
        pass
    assert not output.exists()


def test_a_bucket_that_takes_nothing_is_named_and_nothing_is_lost(s3: str, tmp_path: Path) -> None:
    output = RemoteOutput("s3://no-such-bucket/out.csv", tmp_path)
    with (
        pytest.raises(WriteError, match=r"Cannot write s3://no-such-bucket.*Nothing is lost"),
        output.writing() as file,
    ):
        file.write(b"x")
    with pytest.raises(InputError, match=r"s3://no-such-bucket/\*\.csv"):
        find_remote("s3://no-such-bucket/*.csv")


def test_a_driver_that_is_not_installed_is_named_with_its_extra() -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'oumi-fireworks\[gcs\]'"):
        find_remote("gs://bucket/a.csv")
    with pytest.raises(ConfigurationError, match="adlfs"):
        find_remote("abfs://bucket/a.csv")
    with pytest.raises(ConfigurationError, match="nowhere"):
        find_remote("nowhere://bucket/a.csv")
    with pytest.raises(ConfigurationError, match=r"pip install 'oumi-fireworks\[gcs\]'"):
        RemoteOutput("gs://bucket/a.csv", Path("run"))  # before anything is paid


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("s3://a", "s3"), ("HF://a", "hf"), ("a/b", None), ("C://a", None), ("a:b", None)],
)
def test_a_url_is_told_from_a_path(name: str, scheme: str | None) -> None:
    assert scheme_of(name) == scheme
