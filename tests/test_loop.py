"""The background loop: one loop for many calls, from any thread, and a clean end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator

import pytest

from oumi_fireworks import loop as loop_module
from oumi_fireworks.loop import BackgroundLoop, on_loop_close

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.close()


async def where() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    return asyncio.get_running_loop(), threading.current_thread()


def run_python(code: str, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with all warnings."""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == expect, done.stderr
    return done


def test_calls_share_one_loop_on_another_thread(loop: BackgroundLoop) -> None:
    first_loop, thread = loop.run(where())
    second_loop, _ = loop.run(where())
    assert first_loop is second_loop
    assert thread is not threading.current_thread()


def test_no_thread_before_the_first_call() -> None:
    before = threading.active_count()
    BackgroundLoop()
    assert threading.active_count() == before


def test_what_the_coroutine_raises_is_raised(loop: BackgroundLoop) -> None:
    async def fail() -> None:
        raise LookupError("no such row")

    with pytest.raises(LookupError, match="no such row"):
        loop.run(fail())
    assert loop.run(asyncio.sleep(0, "still alive")) == "still alive"


def test_works_inside_a_running_loop(loop: BackgroundLoop) -> None:
    async def notebook_cell() -> str:
        return loop.run(asyncio.sleep(0, "answer"))

    assert asyncio.run(notebook_cell()) == "answer"


def test_context_variables_come_along(loop: BackgroundLoop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("the caller's")

    async def read() -> str:
        return await asyncio.create_task(asyncio.sleep(0, variable.get()))

    assert loop.run(read()) == "the caller's"


def test_threads_share_the_loop_at_the_same_time(loop: BackgroundLoop) -> None:
    together = 8
    arrived = 0
    everybody = asyncio.Event()

    async def meet() -> asyncio.AbstractEventLoop:
        nonlocal arrived
        arrived += 1
        if arrived == together:
            everybody.set()
        await everybody.wait()
        return asyncio.get_running_loop()

    with concurrent.futures.ThreadPoolExecutor(together) as pool:
        loops = set(pool.map(lambda _: loop.run(meet()), range(together)))
    assert len(loops) == 1


def test_a_coroutine_of_the_loop_cannot_wait_for_it(loop: BackgroundLoop) -> None:
    async def outer() -> None:
        loop.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="by a coroutine that it runs"):
        loop.run(outer())


def test_an_interruption_cancels_the_coroutine_and_waits_for_its_cleanup(
    loop: BackgroundLoop,
) -> None:
    events: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        loop.run(work())
    assert events == ["cleaned up"]
    assert loop.run(asyncio.sleep(0, "still alive")) == "still alive"


def test_close_cancels_releases_and_ends_the_thread(loop: BackgroundLoop) -> None:
    events: list[str] = []
    started: concurrent.futures.Future[threading.Thread] = concurrent.futures.Future()

    async def release(what: str) -> None:
        events.append(f"released {what}")

    async def work() -> None:
        assert on_loop_close(lambda: release("first"))
        assert on_loop_close(lambda: release("second"))
        started.set_result(threading.current_thread())
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cancelled")

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(loop.run, work())
        thread = started.result(timeout=30)
        loop.close()
        with pytest.raises(concurrent.futures.CancelledError):
            call.result()
    assert events == ["cancelled", "released second", "released first"]
    assert not thread.is_alive()
    loop.close()


def test_a_release_that_fails_is_logged_and_the_others_are_released(
    loop: BackgroundLoop, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []

    async def good() -> None:
        events.append("released")

    async def bad() -> None:
        raise OSError("cannot close")

    async def register() -> None:
        on_loop_close(good)
        on_loop_close(bad)

    loop.run(register())
    loop.close()
    assert events == ["released"]
    assert "cannot close" in caplog.text


def test_runs_anew_after_close(loop: BackgroundLoop) -> None:
    first, _ = loop.run(where())
    loop.close()
    second, _ = loop.run(where())
    assert first.is_closed()
    assert second is not first


def test_nothing_is_registered_outside_of_a_background_loop() -> None:
    async def release() -> None: ...

    async def register() -> bool:
        return on_loop_close(release)

    assert asyncio.run(register()) is False


def test_ends_with_its_owner() -> None:
    class Owner:
        def __init__(self) -> None:
            self.loop = BackgroundLoop()

    owner = Owner()
    _, thread = owner.loop.run(where())
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    assert not thread.is_alive()


def test_a_copy_has_a_loop_of_its_own(loop: BackgroundLoop) -> None:
    original, _ = loop.run(where())
    copy = pickle.loads(pickle.dumps(loop))
    copied, _ = copy.run(where())
    assert copied is not original
    copy.close()


def test_exit_releases_without_complaints() -> None:
    done = run_python("""
        import asyncio, concurrent.futures, contextlib, threading
        from oumi_fireworks.loop import BackgroundLoop, on_loop_close

        loop = BackgroundLoop()

        def run_never():
            with contextlib.suppress(concurrent.futures.CancelledError):
                loop.run(never())

        async def release():
            await asyncio.sleep(0)
            print("released", flush=True)

        async def work():
            on_loop_close(release)
            threading.Thread(target=run_never, daemon=True).start()
            await begun.wait()

        async def never():
            begun.set()
            await asyncio.Event().wait()

        begun = asyncio.Event()
        loop.run(work())
    """)
    assert done.stdout == "released\n"
    assert done.stderr == ""


@needs_fork
def test_a_forked_child_starts_its_own_and_leaves_its_parents_alone() -> None:
    done = run_python("""
        import asyncio, os
        from oumi_fireworks.loop import BackgroundLoop, on_loop_close

        loop = BackgroundLoop()

        async def release():
            print("released by", "parent" if os.getpid() == parent else "child", flush=True)

        async def register():
            on_loop_close(release)
            return asyncio.get_running_loop()

        parent = os.getpid()
        before = loop.run(register())
        child = os.fork()
        if child == 0:
            mine = loop.run(asyncio.sleep(0, "child runs"))
            print(mine, flush=True)
            raise SystemExit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("parent runs", loop.run(register()) is before, flush=True)
    """)
    assert done.stdout.splitlines() == [
        "child runs",
        "parent runs True",
        "released by parent",
        "released by parent",
    ]


@needs_fork
def test_a_fork_while_another_thread_holds_the_lock_does_not_hang() -> None:
    run_python("""
        import asyncio, os, threading
        from oumi_fireworks.loop import BackgroundLoop

        loop = BackgroundLoop()
        loop.run(asyncio.sleep(0))
        with loop._lock:
            child = os.fork()
        if child == 0:
            assert loop.run(asyncio.sleep(0, 7)) == 7
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """)


AT_EXIT = """
import asyncio, importlib.util, sys
spec = importlib.util.spec_from_file_location("loop", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

async def use():
    await asyncio.to_thread(print, "in a worker thread")  # as name resolution does
    async def release():
        print("released")
    module.on_loop_close(release)

kept = module.BackgroundLoop()
kept.run(use())
"""


@pytest.mark.parametrize("python", [sys.executable, "python3.12", "python3.13"])
def test_the_end_of_the_interpreter_needs_no_new_thread(python: str) -> None:
    command = shutil.which(python)
    if command is None or subprocess.run([command, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"no {python} here")
    done = subprocess.run(
        [command, "-c", AT_EXIT, str(loop_module.__file__)], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["in a worker thread", "released"]
