"""The emulator over TLS, as clients need it that take no other signed URLs."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fireworks
import httpx
import pytest
from fireworks.lib.dataset_upload import (
    DatasetUploadError,
    count_dataset_examples,
    upload_dataset_shards,
)

from oumi_fireworks.emulator import Emulator, Fault
from tests.conftest import lead_to
from tests.emulator.service import MODEL, jsonl, row


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator that speaks TLS, at its default speed."""
    with Emulator(tls=True) as emulator:
        yield emulator


@pytest.fixture
def client(at_emulator: Emulator) -> Iterator[fireworks.Fireworks]:
    """The official client, set up by the environment alone."""
    with fireworks.Fireworks(max_retries=0) as client:
        yield client


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder with an input in two files."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(2):
        rows = [row(number * 10 + each, f"question {each}") for each in range(3)]
        (folder / f"part-{number}.jsonl").write_bytes(jsonl(rows))
    return folder


def test_the_official_helper_uploads_a_dataset_and_a_batch_runs(
    emulator: Emulator, client: fireworks.Fireworks, shards: Path
) -> None:
    count = str(count_dataset_examples(str(shards)))
    client.datasets.create(dataset_id="input", dataset={"example_count": count})
    upload_dataset_shards(client, "input", str(shards))
    deadline = emulator.clock.now() + 60
    while client.datasets.get("input").state != "READY":
        assert emulator.clock.now() < deadline
    client.batch_inference_jobs.create(
        batch_inference_job_id="job",
        model=MODEL,
        input_dataset_id="accounts/emulator/datasets/input",
        output_dataset_id="accounts/emulator/datasets/output",
    )
    while client.batch_inference_jobs.get("job").state != "JOB_STATE_COMPLETED":
        assert emulator.clock.now() < deadline
    urls = client.datasets.get_download_endpoint("output").filename_to_signed_urls
    assert urls is not None
    assert all(url.startswith(emulator.url) for url in urls.values())
    assert httpx.get(urls["dataset/output/BIJOutputSet.jsonl"]).content.count(b"\n") == 6


def test_the_official_helper_refuses_a_dataset_under_a_customer_s_key(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Emulator(tls=True, encryption_state="ENCRYPTION_STATE_CMEK") as emulator:
        lead_to(emulator, monkeypatch)
        with fireworks.Fireworks(max_retries=0) as client:
            client.datasets.create(dataset_id="input", dataset={"example_count": "6"})
            with pytest.raises(DatasetUploadError, match="ENCRYPTION_STATE_CMEK"):
                upload_dataset_shards(client, "input", str(shards))


def test_nobody_trusts_it_who_was_not_told(emulator: Emulator) -> None:
    assert emulator.url.startswith("https://")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(emulator.url)
    trusting = ssl.create_default_context(cafile=emulator.env["SSL_CERT_FILE"])
    assert httpx.get(f"{emulator.url}/v1/accounts", verify=trusting).status_code == 401


def test_faults_strike_over_tls_too(emulator: Emulator, client: fireworks.Fireworks) -> None:
    emulator.faults.add(Fault("POST", "/datasets$", "duplicate"))
    with pytest.raises(fireworks.ConflictError):
        client.datasets.create(dataset_id="input", dataset={"example_count": "1"})
    emulator.faults.add(Fault("GET", "/datasets/input$", "reset"))
    with pytest.raises(fireworks.APIConnectionError):
        client.datasets.get("input")
    assert client.datasets.get("input").state == "UPLOADING"


def test_exec_lets_its_command_trust_it() -> None:
    code = "import os, httpx; print(httpx.get(os.environ['FIREWORKS_BASE_URL']).status_code)"
    main = "import sys; from oumi_fireworks.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", main, "emulator", "exec", "--tls", "--", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("401", 0), done.stderr


def test_without_its_extra_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["trustme"] = None
from oumi_fireworks.emulator import Emulator
try:
    Emulator(tls=True)
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'oumi-fireworks[tls]'" in done.stdout
