"""``oumi-fireworks emulator``: the signatures and help; what they do is loaded when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oumi_fireworks.cli.strict import StrictCommand

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


@app.command(cls=StrictCommand)
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
    from oumi_fireworks.cli.emulator.options import EmulatorOptions
    from oumi_fireworks.cli.emulator.start import start_emulator

    options = EmulatorOptions(
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
    start_emulator(options, env_file, is_quiet=quiet)


@app.command(name="exec", cls=StrictCommand, context_settings={"allow_interspersed_args": False})
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
    from oumi_fireworks.cli.emulator.execute import execute_command
    from oumi_fireworks.cli.emulator.options import EmulatorOptions

    options = EmulatorOptions(
        state=state,
        speed=speed,
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
    raise typer.Exit(execute_command(command, options, is_verbose=verbose))
