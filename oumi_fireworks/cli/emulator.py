"""``oumi-fireworks emulator``: a Fireworks server on this machine, alone or around a command."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from oumi_fireworks.emulator import Emulator

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Try anything without a key: a Fireworks server on this machine.\n\n"
    "It speaks the protocol of the real one, batch inference included. A toy model answers, and "
    "says so; with [cyan]--upstream[/cyan] any OpenAI-compatible server does.",
    epilog="[bold]Examples[/bold]\n\n"
    "One command against a fresh emulator:\n\n"
    "[cyan]oumi-fireworks emulator exec -- oumi infer -i -c CONFIG.yaml[/cyan]\n\n"
    "An emulator that stays, and keeps what it has over a restart:\n\n"
    "[cyan]oumi-fireworks emulator start --state ~/.fireworks-emulator[/cyan]\n\n"
    "A batch API in front of vLLM:\n\n"
    "[cyan]oumi-fireworks emulator start --upstream http://127.0.0.1:8000/v1[/cyan]\n\n"
    "How does it go when every tenth request fails?\n\n"
    "[cyan]oumi-fireworks emulator exec --fault 'kind=status status=503 times=always "
    "probability=0.1' -- CMD[/cyan]",
)

_SPEED = 120.0
"""Times faster than real time that an emulator's clock runs."""

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
"""Exit codes of a shell for a command that does not exist, and for one that cannot be run."""

_TURN = 0.5
"""Seconds that a wait for the command lasts before signals are looked at again."""

_FORWARDED = [
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)  # Windows has not all of them
]

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any.")]
State = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        help="Folder that keeps datasets and jobs over a restart; without one they are forgotten.",
    ),
]
Speed = Annotated[
    float,
    typer.Option(
        min=0,
        help="How many times faster than on the service jobs go: 1 lets a small job take eight "
        "minutes, 120 four seconds.",
    ),
]
Key = Annotated[str | None, typer.Option(help="The API key to accept; made at random by default.")]
Account = Annotated[str, typer.Option(help="The account that the key belongs to.")]
Limit = Annotated[
    float | None,
    typer.Option(
        min=1, help="Chat completions a minute; what is above is refused with 429. None by default."
    ),
]
Tls = Annotated[
    bool,
    typer.Option(
        "--tls",
        help="Speak TLS with a certificate made at start. Needs the extra: "
        "pip install 'oumi-fireworks\\[tls]'.",
    ),
]
Limits = Annotated[
    str,
    typer.Option(
        help="Limit chat completions as the service does: fireworks (token buckets that move, and "
        "the account's requests), dedicated (a deployment that can be busy), or none."
    ),
]
Latency = Annotated[
    str | None,
    typer.Option(
        metavar="SECONDS[,SIGMA]",
        help="How long chat completions take: the median, and the spread of the log-normal "
        "distribution, such as 0.5,0.5. None by default.",
    ),
]
CancelRoute = Annotated[
    bool,
    typer.Option("--cancel-route", help="Offer POST ...:cancel, which the service does not have."),
]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="SPEC",
        help="Something that goes wrong with a call, such as 'kind=reset path=/datasets "
        "method=POST times=2'. May be given several times. Kinds: status, delay, reset, "
        "lost_answer, cut, stale_url, truncated_json, garbage, stall, stale, other, duplicate, "
        "stop_reading, scaling_up, overloaded, swapping.",
    ),
]
Weather = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="How late jobs, datasets, lists and results show, in seconds, such as "
        "'jobs=3 lists=10 lists.probability=0.5 output_missing=2 files_partial=2'. "
        "Not at all by default.",
    ),
]
UpstreamUrl = Annotated[
    str | None,
    typer.Option(
        "--upstream",
        metavar="URL",
        help="An OpenAI-compatible server that answers instead of the toy model, such as "
        "http://127.0.0.1:8000/v1.",
    ),
]
UpstreamModel = Annotated[
    str | None, typer.Option(help="The model to ask upstream for, whatever the client asks for.")
]
UpstreamConcurrency = Annotated[
    int, typer.Option(min=1, help="How many rows of batches are under way upstream at once.")
]
UpstreamKeyVariable = Annotated[
    str | None,
    typer.Option(
        "--upstream-key-env",
        metavar="NAME",
        help="Environment variable that holds the API key for upstream.",
    ),
]


@app.command()
def start(
    host: Host = "127.0.0.1",
    port: Port = 8765,
    state: State = None,
    speed: Speed = _SPEED,
    key: Key = None,
    account: Account = "emulator",
    tls: Tls = False,
    limits: Limits = "none",
    rate_limit: Limit = None,
    latency: Latency = None,
    cancel_route: CancelRoute = False,
    fault: Faults = None,
    weather: Weather = None,
    upstream: UpstreamUrl = None,
    upstream_model: UpstreamModel = None,
    upstream_key_env: UpstreamKeyVariable = None,
    upstream_concurrency: UpstreamConcurrency = 32,
    env_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Also write the variables to this file, for you alone, once it listens: what "
            "docker --env-file and GitHub's $GITHUB_ENV take. It is removed at the end.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not log requests.")] = False,
) -> None:
    """Start an emulator and keep it running until Ctrl-C.

    Says what to put into the environment of the programs that shall use it, and logs their
    requests.
    """
    emulator = _emulator(
        host=host,
        port=port,
        state=state,
        speed=speed,
        key=key,
        account=account,
        tls=tls,
        limits=limits,
        rate_limit=rate_limit,
        latency=latency,
        cancel_route=cancel_route,
        faults=fault or [],
        weather=weather,
        upstream=upstream,
        upstream_model=upstream_model,
        upstream_key_env=upstream_key_env,
        upstream_concurrency=upstream_concurrency,
    )
    if not quiet:
        _log_to_stderr()
    from oumi_fireworks.signals import wait

    stop = threading.Event()
    with (
        _handling((signal.SIGINT, signal.SIGTERM), lambda _number: stop.set()),
        _running(emulator),
        _written(emulator.env, env_file),
    ):
        _say(f"A Fireworks emulator listens on {emulator.url}. To use it:\n")
        shown = emulator.env if key is None else {**emulator.env, "FIREWORKS_API_KEY": "..."}
        for name, value in shown.items():
            _say(f"  export {name}={shlex.quote(value) if value != '...' else '... # your --key'}")
        _say("\nCtrl-C stops it.")
        wait(stop)
    _say(f"Stopped. Its state is kept in {state}." if state else "Stopped.")


@app.command(name="exec", context_settings={"allow_interspersed_args": False})
def execute(
    command: Annotated[
        list[str], typer.Argument(metavar="-- CMD ...", help="The command and its arguments.")
    ],
    state: State = None,
    speed: Speed = _SPEED,
    account: Account = "emulator",
    tls: Tls = False,
    limits: Limits = "none",
    rate_limit: Limit = None,
    latency: Latency = None,
    cancel_route: CancelRoute = False,
    fault: Faults = None,
    weather: Weather = None,
    upstream: UpstreamUrl = None,
    upstream_model: UpstreamModel = None,
    upstream_key_env: UpstreamKeyVariable = None,
    upstream_concurrency: UpstreamConcurrency = 32,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log requests to stderr.")
    ] = False,
) -> None:
    """Run a command against an emulator that lives as long as the command.

    The command finds FIREWORKS_BASE_URL, FIREWORKS_API_KEY and FIREWORKS_ACCOUNT_ID in its
    environment, with --tls also SSL_CERT_FILE and REQUESTS_CA_BUNDLE, so that whatever speaks to
    Fireworks in it speaks to the emulator. Signals are passed on to it. Exits as the command
    does; with 127 if there is no such command.
    """
    emulator = _emulator(
        host="127.0.0.1",
        port=0,
        state=state,
        speed=speed,
        key=None,
        account=account,
        tls=tls,
        limits=limits,
        rate_limit=rate_limit,
        latency=latency,
        cancel_route=cancel_route,
        faults=fault or [],
        weather=weather,
        upstream=upstream,
        upstream_model=upstream_model,
        upstream_key_env=upstream_key_env,
        upstream_concurrency=upstream_concurrency,
    )
    if verbose:
        _log_to_stderr()
    with _running(emulator):
        code = _run(command, emulator.env)
    raise typer.Exit(code)


def _emulator(
    *,
    speed: float,
    key: str | None,
    rate_limit: float | None,
    latency: str | None,
    faults: Sequence[str],
    weather: str | None,
    upstream: str | None,
    upstream_model: str | None,
    upstream_key_env: str | None,
    upstream_concurrency: int,
    **options: Any,
) -> Emulator:
    from oumi_fireworks import emulator as emulating

    if key is not None:
        options["key"] = key
    options["latency"] = _latency(latency) if latency else None
    options["upstream"] = _upstream(
        upstream, upstream_model, upstream_key_env, upstream_concurrency
    )
    wanted = [_fault(spec) for spec in faults]
    options["weather"] = _weather(weather) if weather else None
    try:
        options["rate_limit"] = emulating.RateLimit(rate_limit) if rate_limit else None
        emulator = emulating.Emulator(speed=speed, kept_requests=1000, **options)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"The emulator cannot start: {where}{error.strerror or error}.")
        raise typer.Exit(1) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    for fault in wanted:
        emulator.faults.add(fault)
    return emulator


def _fault(spec: str) -> Any:
    from oumi_fireworks.emulator import parse_fault

    try:
        return parse_fault(spec)
    except ValueError as error:
        raise typer.BadParameter(f"{spec!r}: {error}", param_hint="--fault") from None


def _weather(spec: str) -> Any:
    from oumi_fireworks.emulator import parse_weather

    try:
        return parse_weather(spec)
    except ValueError as error:
        raise typer.BadParameter(f"{spec!r}: {error}", param_hint="--weather") from None


def _latency(text: str) -> Any:
    from oumi_fireworks.emulator import Latency

    median, _, sigma = text.partition(",")
    try:
        return Latency(float(median), float(sigma or 0))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not seconds, nor seconds and a sigma such as 0.5,0.5; neither is "
            "negative",
            param_hint="--latency",
        ) from None


def _upstream(
    url: str | None, model: str | None, key_variable: str | None, concurrency: int
) -> Any:
    from oumi_fireworks.emulator import Upstream

    if url is None:
        if model or key_variable:
            raise typer.BadParameter("it needs --upstream URL", param_hint="--upstream-...")
        return None
    key = os.environ.get(key_variable) if key_variable else None
    if key_variable and not key:
        raise typer.BadParameter(f"{key_variable} is not set", param_hint="--upstream-key-env")
    try:
        return Upstream(url, model=model, key=key, concurrency=concurrency)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--upstream") from None


@contextmanager
def _running(emulator: Emulator) -> Iterator[None]:
    try:
        emulator.start()
    except OSError as error:
        _say(f"The emulator cannot start: {error.strerror or error}. Try another --port.")
        raise typer.Exit(1) from None
    try:
        yield
    finally:
        emulator.stop()


@contextmanager
def _written(env: Mapping[str, str], path: Path | None) -> Iterator[None]:
    """Keep the variables in a file, which others find as a whole or not at all."""
    if path is None:
        yield
        return
    from oumi_fireworks.errors import WriteError
    from oumi_fireworks.files import write_whole

    text = "".join(f"{name}={value}\n" for name, value in env.items())
    try:
        write_whole(path, text.encode(), advice="Name another --env-file.", private=True)
    except WriteError as error:
        _say(str(error))
        raise typer.Exit(1) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _run(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command to its end, and return the exit code that a shell would."""
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int) -> None:
        if child is None:
            early.append(number)
        # A terminal sends its Ctrl-C to the command as well: once is enough.
        elif number != signal.SIGINT or not _is_foreground():
            child.send_signal(number)

    # Before the command begins, so that no signal ends us and leaves it behind.
    with _handling((signal.SIGINT, *_FORWARDED), pass_on):
        try:
            child = subprocess.Popen(command, env={**os.environ, **env})  # noqa: S603 - asked for
        except FileNotFoundError:
            _say(f"{command[0]}: command not found")
            return _NOT_FOUND
        except PermissionError:
            _say(f"{command[0]}: permission denied")
            return _NOT_EXECUTABLE
        except OSError as error:
            _say(f"{command[0]}: {error.strerror}")
            return _NOT_EXECUTABLE
        for number in early:
            child.send_signal(number)
        code = _code_of(child)
    return 128 - code if code < 0 else code


def _code_of(child: subprocess.Popen[bytes]) -> int:
    """Wait for the end in turns, for the reason that :func:`oumi_fireworks.signals.wait` gives."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(_TURN)


def _is_foreground() -> bool:
    """Whether this process belongs to those that the terminal sends its signals to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


@contextmanager
def _handling(numbers: Sequence[signal.Signals], handle: Callable[[int], None]) -> Iterator[None]:
    def handler(number: int, _frame: FrameType | None) -> None:
        handle(number)

    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("oumi_fireworks.emulator")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _say(text: str) -> None:
    typer.echo(text, err=True)
