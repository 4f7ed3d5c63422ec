"""The emulator as an object: a Fireworks server on a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import random
import re
import ssl
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from aiohttp import web
from filelock import FileLock, Timeout

from oumi_fireworks.emulator.app import make_app
from oumi_fireworks.emulator.faults.faults import FaultBook
from oumi_fireworks.emulator.faults.weather import Weather
from oumi_fireworks.emulator.routes.storage import TEMPORARY
from oumi_fireworks.emulator.settings import ACCOUNT, SUSPEND_STATES, Settings, Upstream
from oumi_fireworks.emulator.state.certificates import make_certificate
from oumi_fireworks.emulator.state.clock import Clock
from oumi_fireworks.emulator.state.job_timeline import Pace
from oumi_fireworks.emulator.state.private_files import FILE_MODE, make_folder
from oumi_fireworks.emulator.state.store import Store
from oumi_fireworks.emulator.wire.names import is_id
from oumi_fireworks.emulator.wire.numbers import is_amount
from oumi_fireworks.emulator.work.emulator_state import EmulatorState, OutputWriter, RecordedRequest
from oumi_fireworks.emulator.work.job_override import set_job
from oumi_fireworks.emulator.work.ledger import Ledger, ledger_of
from oumi_fireworks.emulator.work.limits import Limits, limits_named
from oumi_fireworks.emulator.work.output_rows import RowFailure
from oumi_fireworks.emulator.work.runner import Flaky, Runner
from oumi_fireworks.emulator.work.traffic import Latency, RateLimit
from oumi_fireworks.emulator.work.upstream import UpstreamClient
from oumi_fireworks.emulator.work.views import DatasetView, JobView, dataset_views, job_views

FAST = 2400.0
"""The speed at which the eight minutes of a small job take a fifth of a second."""

_GRACE = 0.1
"""Seconds that requests under way are given when the emulator stops."""

_BACKLOG = 1024
"""Connections that may wait to be accepted."""

_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked for by whoever listens there
"""Addresses that stand for all of a machine's, which one can listen on but should not call."""


class Emulator:
    """A Fireworks server of our own, in this process, on a thread of its own.

    Use it as a context manager, or call `start` and `stop`.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        tls: Whether to speak TLS, with a certificate that is made at start: `ca_file` is what a
            client has to trust. Needs the extra `tls`.
        state: Folder that keeps datasets and jobs over a restart; None for a temporary one.
        speed: How many times faster than on the service jobs live. The default lets a small
            job go through all its states in about 0.2 seconds; 0 stops them, so that only
            `clock.advance` moves them.
        key: The API key that is accepted; None for one that is made at random and kept with
            the state.
        account: The account that the key may use.
        pace: How long the stages of a job take at speed 1.
        cancel_route: Whether `POST ...:cancel` exists; on the service it does not.
        models: Names of the models that exist; empty for every well-formed name.
        max_direct_upload: Bytes that `:upload` takes.
        max_dataset_bytes: Bytes that a dataset may have.
        max_output_bytes: Bytes of results at which a job is stopped early.
        result_file_bytes: Bytes of results at which another result file is begun.
        url_lifetime: Seconds for which signed URLs of downloads are good.
        upload_url_lifetime: Seconds for which signed URLs of uploads are good.
        encryption_state: What datasets say of their encryption; of a customer's own key, for
            example `ENCRYPTION_STATE_CMEK`.
        zero_data_retention: Whether the account keeps no data: it may not have datasets or
            batch jobs.
        max_unstreamed_tokens: `max_tokens` up to which an answer need not be streamed.
        numbers_as_strings: Whether the numbers of `jobProgress` are sent as strings.
        weather: How late the control plane shows what has happened; None for at once.
        upstream: An OpenAI-compatible server that answers instead of the toy model.
        limits: The service's limits on chat completions: "fireworks", "dedicated", "none" (as
            None is), or ones of your own.
        rate_limit: A plain limit on chat completions a minute, stated in headers; or None.
        latency: The latency of chat completions, or None.
        seed: Seed of chance: latencies, and faults with a probability.
        kept_requests: How many of the latest requests `requests` remembers.

    Raises:
        ValueError: If TLS is asked for and trustme is not installed, the account is no resource
            id, or the speed is not a finite, non-negative number.
        OSError: If the state folder cannot be used, or belongs to an emulator that runs.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        state: Path | str | None = None,
        speed: float = FAST,
        key: str | None = None,
        account: str = ACCOUNT,
        pace: Pace | None = None,
        cancel_route: bool = False,
        models: tuple[str, ...] = (),
        max_direct_upload: int = 150_000_000,
        max_dataset_bytes: int = 80 << 30,
        max_output_bytes: int = 8_000_000_000,
        result_file_bytes: int = 1 << 40,
        url_lifetime: float = 600.0,
        upload_url_lifetime: float = 3600.0,
        encryption_state: str = "ENCRYPTION_STATE_PLAINTEXT",
        zero_data_retention: bool = False,
        max_unstreamed_tokens: int = 4096,
        numbers_as_strings: bool = False,
        weather: Weather | None = None,
        upstream: Upstream | str | None = None,
        limits: Limits | str | None = None,
        rate_limit: RateLimit | None = None,
        latency: Latency | None = None,
        seed: int = 0,
        kept_requests: int = 50_000,
    ) -> None:
        if not is_id(account):
            raise ValueError(f"{account!r} is no account id: lower-case letters, digits, hyphens")
        if not is_amount(speed):
            raise ValueError(f"speed must be a finite, non-negative number, got {speed}")
        if isinstance(limits, str):
            limits = limits_named(limits)
        if isinstance(upstream, str):
            upstream = Upstream(upstream)
        self._host = host
        self._port = port
        self._ssl: ssl.SSLContext | None = None
        self._ca_file: Path | None = None
        self._temporary: TemporaryDirectory[str] | None = None
        if state is None:
            self._temporary = TemporaryDirectory(prefix="emulator-", ignore_cleanup_errors=True)
            state = self._temporary.name
        self._claim = _claim(Path(state))
        try:
            store = Store(Path(state))
            if tls:
                self._ssl, self._ca_file = make_certificate(Path(state), host)
        except BaseException:
            self._claim.release()
            raise
        self._settings = Settings(
            key=key or store.key,
            account=account,
            pace=pace or Pace(),
            cancel_route=cancel_route,
            models=models,
            max_direct_upload=max_direct_upload,
            max_dataset_bytes=max_dataset_bytes,
            max_output_bytes=max_output_bytes,
            result_file_bytes=result_file_bytes,
            url_lifetime=url_lifetime,
            upload_url_lifetime=upload_url_lifetime,
            encryption_state=encryption_state,
            zero_data_retention=zero_data_retention,
            max_unstreamed_tokens=max_unstreamed_tokens,
            numbers_as_strings=numbers_as_strings,
            upstream=upstream,
        )
        clock = Clock(speed, store.advanced, self._catch_up, store.save_clock)
        rng = random.Random(seed)
        flaky = Flaky()
        answerer = self._ask_upstream if self._settings.upstream else None
        self._state = EmulatorState(
            settings=self._settings,
            store=store,
            clock=clock,
            runner=Runner(store, clock, self._settings, flaky, answerer),
            flaky=flaky,
            rng=rng,
            faults=FaultBook(rng),
            requests=deque(maxlen=kept_requests),
            rate_limit=rate_limit,
            latency=latency,
            weather=weather or Weather(),
        )
        self._state.set_limits(limits)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen, and go on with jobs that an earlier process left.

        Raises:
            OSError: If the address cannot be listened on.
        """
        if self._thread is not None:
            raise RuntimeError("an emulator starts once, make another one")
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="fireworks-emulator", daemon=True
        )
        self._thread.start()
        started.wait()
        if self._failure is not None:
            self._thread.join()
            self._tidy()
            raise self._failure

    def stop(self) -> None:
        """Drop all connections and stop; a temporary state goes with it. Does nothing twice."""
        if self._thread is None or not self._thread.is_alive():
            return
        assert self._loop is not None
        assert self._stop is not None
        self._state.runner.stop()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._tidy()

    @property
    def url(self) -> str:
        """The root as programs on this machine see it, such as `http://127.0.0.1:8765`."""
        host = _HERE.get(self._host, self._host)
        host = f"[{host}]" if ":" in host else host
        scheme = "https" if self._ssl else "http"
        return f"{scheme}://{host}:{self._port}"

    @property
    def ca_file(self) -> Path | None:
        """The certificates that a client has to trust, this machine's usual ones among them.

        None without TLS.
        """
        return self._ca_file

    @property
    def api_key(self) -> str:
        """The key that is accepted."""
        return self._settings.key

    @property
    def account(self) -> str:
        """The account that the key may use."""
        return self._settings.account

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that lead a client here."""
        env = {
            "FIREWORKS_BASE_URL": self.url,
            "FIREWORKS_API_KEY": self.api_key,
            "FIREWORKS_ACCOUNT_ID": self.account,
        }
        if self._ca_file is not None:
            env["SSL_CERT_FILE"] = env["REQUESTS_CA_BUNDLE"] = str(self._ca_file)
        return env

    @property
    def clock(self) -> Clock:
        """The clock that everything goes by."""
        return self._state.clock

    @property
    def faults(self) -> FaultBook:
        """What is going to go wrong."""
        return self._state.faults

    @property
    def weather(self) -> Weather:
        """How late the control plane shows what has happened; may be set at any time."""
        return self._state.weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._state.set_weather(weather)

    @property
    def ledger(self) -> Ledger:
        """What a bill would be made out for: the rows that ran, in deleted jobs too, and chat."""
        return ledger_of(self._state)

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests received so far, in the order in which they were answered."""
        return list(self._state.requests)

    def requests_to(self, method: str | None = None, path: str = "") -> list[RecordedRequest]:
        """Return the requests with this method, on whose path this regular expression is found."""
        return [
            each
            for each in self.requests
            if method in (None, each.method) and re.search(path, each.path)
        ]

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted so far."""
        return self._state.connections

    @property
    def rate_limit(self) -> RateLimit | None:
        """The limit on chat completions; may be set at any time."""
        return self._state.rate_limit

    @rate_limit.setter
    def rate_limit(self, limit: RateLimit | None) -> None:
        self._state.rate_limit = limit

    @property
    def limits(self) -> Limits | None:
        """The service's limits on chat completions; setting them begins them anew."""
        return self._state.limits

    @limits.setter
    def limits(self, limits: Limits | None) -> None:
        self._state.set_limits(limits)

    @property
    def latency(self) -> Latency | None:
        """The latency of chat completions; may be set at any time."""
        return self._state.latency

    @latency.setter
    def latency(self, latency: Latency | None) -> None:
        self._state.latency = latency

    @property
    def refusal(self) -> int | None:
        """402 for unpaid bills, 412 for a suspended account, None for neither; may be set."""
        return self._state.refusal

    @refusal.setter
    def refusal(self, status: int | None) -> None:
        if status not in (None, 402, 412):
            raise ValueError(f"an account is refused with 402 or 412, not {status}")
        self._state.refusal = status

    @property
    def suspend_state(self) -> str:
        """Why the account is suspended, such as `CREDIT_DEPLETED`, or `UNSUSPENDED`; may be set.

        A suspended account gets a 412 for its chat completions and for the list of accounts.
        """
        return self._state.suspend_state

    @suspend_state.setter
    def suspend_state(self, reason: str) -> None:
        if reason not in SUSPEND_STATES:
            raise ValueError(f"there is no {reason!r}, use one of {', '.join(SUSPEND_STATES)}")
        self._state.suspend_state = reason

    @property
    def output_writer(self) -> OutputWriter | None:
        """Writes the result files of jobs in place of the emulator; may be set at any time.

        Called as `writer(job, rows)` with the rows that the emulator would have written, in
        their order, it returns the files' contents by their names.
        """
        return self._state.output_writer

    @output_writer.setter
    def output_writer(self, writer: OutputWriter | None) -> None:
        self._state.output_writer = writer

    @property
    def datasets(self) -> list[DatasetView]:
        """The datasets, deleted ones included."""
        return dataset_views(self._state)

    @property
    def jobs(self) -> list[JobView]:
        """The jobs, deleted ones included."""
        return job_views(self._state)

    def set_job(
        self,
        job_id: str,
        state: str | None = None,
        message: str | None = None,
        rows: int | None = None,
    ) -> None:
        """Put a job into a state by hand, in which it then stays.

        A state that ends a job makes it write its results there and then.

        Args:
            job_id: The job.
            state: Such as `JOB_STATE_PAUSED`; None lets it live on by itself.
            message: What its status says from now on; None leaves that alone.
            rows: How many finished rows it keeps; None for as many as were due. Rows are
                kept in the blocks in which they were done: in a job of more than 512 rows
                the number is rounded down.

        Raises:
            KeyError: If there is no such job.
            ValueError: If there is no such state, the rows are not a whole, non-negative number,
                or the results are already written.
        """
        set_job(self._state, job_id, state, message, rows)

    def _run(self, started: threading.Event) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            self._failure = error
        finally:
            started.set()

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        emulator = self._state
        if self._settings.upstream is not None:
            emulator.upstream = UpstreamClient(self._settings.upstream)
        runner = web.AppRunner(
            make_app(emulator), access_log=None, shutdown_timeout=_GRACE, handle_signals=False
        )
        await runner.setup()

        def accepted() -> asyncio.Protocol:
            emulator.connections += 1
            assert runner.server is not None
            return runner.server()

        try:
            listener = await self._loop.create_server(
                accepted, self._host, self._port, backlog=_BACKLOG, ssl=self._ssl
            )
            self._port = listener.sockets[0].getsockname()[1]
            self._resume_jobs()
            started.set()
            await self._stop.wait()
            listener.close()
        finally:
            await runner.cleanup()
            if emulator.upstream is not None:
                await emulator.upstream.close()

    def _resume_jobs(self) -> None:
        store = self._state.store
        for path in store.folder.glob(f"datasets/*/files/{TEMPORARY}*"):
            path.unlink()
        for job in list(store.jobs.values()):
            if not job.published:
                self._state.runner.start(job.id)

    def _catch_up(self) -> None:
        self._state.runner.catch_up()

    def _ask_upstream(
        self, requests: Sequence[dict[str, Any]], model: str
    ) -> list[dict[str, Any] | RowFailure]:
        assert self._state.upstream is not None
        return self._state.upstream.answer_all(requests, model)

    def _tidy(self) -> None:
        self._state.runner.join()
        self._claim.release()
        if self._temporary is not None:
            self._temporary.cleanup()


def _claim(folder: Path) -> FileLock:
    """Claim a state folder for this emulator alone."""
    make_folder(folder)
    lock = FileLock(folder / "lock", mode=FILE_MODE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OSError(
            errno.EBUSY, f"an emulator that is running keeps its state in {folder}"
        ) from None
    return lock
