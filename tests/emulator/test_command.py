"""The command line: `oumi-fireworks emulator start` and `exec`."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from oumi_fireworks.cli.emulator.commands import app

COMMAND = [
    sys.executable,
    "-c",
    "from oumi_fireworks.cli.emulator.commands import app; "
    "app(prog_name='oumi-fireworks emulator')",
]


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env={**os.environ, **env}, capture_output=True, text=True
    )


def python(code: str) -> list[str]:
    """A command that runs Python code."""
    return ["--", sys.executable, "-c", code]


# Each signal is a byte in a pipe: unlike with signal.pause(), none can come too early.
NOTING_SIGNALS = """
import os, signal, sys
reading, writing = os.pipe()
os.set_blocking(writing, False)
signal.set_wakeup_fd(writing)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)
def next_signal():
    return os.read(reading, 1)[0]
"""

ASK = """
import os, sys, urllib.request
request = urllib.request.Request(
    os.environ["FIREWORKS_BASE_URL"] + "/v1/accounts/" + os.environ["FIREWORKS_ACCOUNT_ID"],
    headers={"Authorization": "Bearer " + os.environ["FIREWORKS_API_KEY"]},
)
print(urllib.request.urlopen(request).read().decode())
"""


def invoke(*arguments: str) -> Result:
    """Use the command line in this process, which is quicker."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)


def test_exec_gives_a_command_an_emulator(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke("exec", "--account", "me", *python(ASK)).exit_code == 0
    output = capfd.readouterr()
    assert json.loads(output.out)["name"] == "accounts/me"
    assert output.err == ""


def test_exec_exits_as_the_command_does() -> None:
    assert invoke("exec", "--", "sh", "-c", "exit 7").exit_code == 7
    assert invoke("exec", "--", "sh", "-c", "kill -9 $$").exit_code == 128 + 9


def test_exec_leaves_the_options_of_the_command_alone(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke("exec", "echo", "--help", "--", "-v").exit_code == 0
    assert capfd.readouterr().out == "--help -- -v\n"


def test_exec_cannot_find_what_is_not_there(tmp_path: Path) -> None:
    missing = invoke("exec", "--", "no-such-command")
    assert missing.exit_code == 127
    assert "no-such-command: command not found" in missing.output
    (tmp_path / "plain").write_text("text")
    refused = invoke("exec", "--", str(tmp_path / "plain"))
    assert refused.exit_code == 126
    assert "permission denied" in refused.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["exec"], "Missing argument"),
        (["exec", "--colour", "red", "--", "true"], "No such option"),
        (["exec", "--fault", "kind=earthquake", "--", "true"], "unknown kind of fault"),
        (["exec", "--limits", "generous", "--", "true"], "there are no limits"),
        (["exec", "--weather", "rain=1", "--", "true"], "unknown weather"),
        (["exec", "--latency", "long", "--", "true"], "is not seconds"),
        (["exec", "--fault", "kind=status status=9999", "--", "true"], "status must be"),
        (["exec", "--latency=-1", "--", "true"], "is not seconds"),
        (["exec", "--rate-limit", "nan", "--", "true"], "positive rate"),
        (["exec", "--speed", "-1", "--", "true"], "-1"),
        (["exec", "--speed", "nan", "--", "true"], "nan"),
        (["exec", "--account", "A B", "--", "true"], "no account id"),
        (["exec", "--upstream", "here", "--", "true"], "is not a URL"),
        (["exec", "--upstream", "http://", "--", "true"], "is not a URL"),
        (["exec", "--upstream", "http://here:99999", "--", "true"], "is not a URL"),
        (["exec", "--upstream-model", "x", "--", "true"], "--upstream"),
        (
            ["exec", "--upstream", "http://x", "--upstream-key-env", "NO_KEY", "--", "true"],
            "NO_KEY",
        ),
        (["start", "--port", "99999"], "99999"),
    ],
)
def test_wrong_use_is_explained(arguments: list[str], complaint: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert complaint in done.output


def test_exec_passes_faults_limits_and_latency_on(capfd: pytest.CaptureFixture[str]) -> None:
    done = invoke(
        *("exec", "--fault", "kind=status status=502", "--rate-limit", "60"),
        *("--latency", "0.1,0.5", "--cancel-route", *python(ASK)),
    )
    assert done.exit_code == 1
    assert "HTTP Error 502" in capfd.readouterr().err


def test_exec_passes_weather_on(capfd: pytest.CaptureFixture[str]) -> None:
    ask = ASK.replace('"/v1/accounts/" + os.environ["FIREWORKS_ACCOUNT_ID"]', '"/emulator/weather"')
    assert invoke("exec", "--weather", "jobs=3 ready=8", *python(ask)).exit_code == 0
    weather = json.loads(capfd.readouterr().out)
    assert (weather["jobs"]["seconds"], weather["ready"]) == (3.0, 8.0)


def test_exec_logs_requests_when_asked() -> None:
    done = run("exec", "-v", *python(ASK))
    assert "GET /v1/accounts/emulator 200" in done.stderr
    assert "fw_emulator" not in done.stderr


def test_exec_keeps_state_when_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    post = ASK.replace(
        '"/v1/accounts/" + os.environ["FIREWORKS_ACCOUNT_ID"],',
        '"/v1/accounts/emulator/datasets",'
        'data=b\'{"datasetId": "kept", "dataset": {"exampleCount": "1"}}\',',
    )
    assert invoke("exec", "--state", str(tmp_path), *python(post)).exit_code == 0
    invoke("exec", "--state", str(tmp_path), *python(post))
    assert "HTTP Error 409" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_exec_passes_signals_on(number: signal.Signals) -> None:
    code = (
        f"{NOTING_SIGNALS}"
        "print('ready', flush=True)\n"
        f"sys.exit(42 if next_signal() == {int(number)} else 1)\n"
    )
    with subprocess.Popen(
        [*COMMAND, "exec", *python(code)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # away from any terminal, which would send its own
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait() == 42


def test_exec_passes_a_terminal_s_ctrl_c_on_once() -> None:
    code = (
        f"{NOTING_SIGNALS}"
        "print('ready', flush=True)\n"
        "seen = 0\n"
        "while next_signal() == signal.SIGINT:\n"
        "    seen += 1\n"
        "    print('seen', flush=True)\n"
        "sys.exit(40 + seen)\n"
    )
    terminal, other_end = pty.openpty()

    def make_it_ours() -> None:
        os.setsid()
        fcntl.ioctl(other_end, termios.TIOCSCTTY, 0)

    with (
        subprocess.Popen(
            [*COMMAND, "exec", *python(code)],
            stdin=other_end,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=make_it_ours,
        ) as process,
        os.fdopen(terminal, "wb", buffering=0) as keyboard,
    ):
        os.close(other_end)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        keyboard.write(b"\x03")
        assert process.stdout.readline() == "seen\n"
        process.send_signal(signal.SIGTERM)  # comes after anything that was sent before
        assert process.wait() == 41


def test_exec_passes_on_what_comes_while_the_command_begins() -> None:
    # Python says what it is about to do: here the command is about to begin.
    interrupted = (
        "import os, signal, sys\n"
        "def interrupt(event, _):\n"
        "    if event == 'subprocess.Popen':\n"
        "        os.kill(os.getpid(), signal.SIGUSR1)\n"
        "sys.addaudithook(interrupt)\n"
        f"{COMMAND[-1]}"
    )
    done = subprocess.run([sys.executable, "-c", interrupted, "exec", "--", "sleep", "10"])
    assert done.returncode == 128 + signal.SIGUSR1


class Started:
    """`emulator start` in a process of its own, with what it said at first."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "start", "--port", "0", *arguments], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.stderr: IO[str] = self.process.stderr
        self.said = ""
        while "Ctrl-C stops it." not in self.said:
            self.said += self.stderr.readline()
        exports = [line.split() for line in self.said.splitlines() if "export" in line]
        self.env = dict(words[1].split("=", 1) for words in exports)

    def stop(self, number: signal.Signals) -> str:
        self.process.send_signal(number)
        rest = self.stderr.read()
        self.process.wait()
        self.stderr.close()
        return rest


@pytest.fixture
def started() -> Iterator[Started]:
    started = Started()
    yield started
    started.process.kill()
    started.process.wait()
    started.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_start_says_how_to_use_it_and_ends_cleanly(
    started: Started, number: signal.Signals
) -> None:
    headers = {"Authorization": f"Bearer {started.env['FIREWORKS_API_KEY']}"}
    url = started.env["FIREWORKS_BASE_URL"] + "/v1/accounts"
    assert httpx.get(url, headers=headers, verify=False).status_code == 200
    rest = started.stop(number)
    assert started.process.returncode == 0
    assert "GET /v1/accounts 200" in rest
    assert rest.endswith("Stopped.\n")
    assert "Traceback" not in rest


def test_start_never_shows_a_key_of_one_s_own(tmp_path: Path) -> None:
    started = Started("--key", "fw_secret", "--quiet", "--state", str(tmp_path))
    rest = started.stop(signal.SIGINT)
    assert "fw_secret" not in started.said + rest
    assert f"Its state is kept in {tmp_path}" in rest


def test_start_explains_why_it_cannot(started: Started) -> None:
    port = started.env["FIREWORKS_BASE_URL"].rpartition(":")[2]
    refused = run("start", "--port", port)
    assert refused.returncode == 1
    assert "already in use" in refused.stderr
    assert "--port" in refused.stderr


def test_a_state_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "emulator.json").write_text("none of ours")
    refused = invoke("exec", "--state", str(tmp_path), "--", "true")
    assert refused.exit_code == 1
    assert f"{tmp_path / 'emulator.json'} is not what this version" in refused.output
    (tmp_path / "file").touch()
    beyond = invoke("exec", "--state", str(tmp_path / "file" / "state"), "--", "true")
    assert beyond.exit_code == 1
    assert str(tmp_path / "file") in beyond.output


def test_help_needs_nothing_heavy() -> None:
    code = "import sys, oumi_fireworks.cli.emulator.commands; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"
    assert "FIREWORKS_BASE_URL" in run("exec", "--help").stdout
