"""An event loop on a thread of its own: sync code runs coroutines on it, and it stays.

Because the loop outlives each call, so do the connections that belong to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, TypeVar

from oumi_fireworks.signals import wait

__all__ = ["BackgroundLoop", "on_loop_close"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

Release = Callable[[], Awaitable[object]]


class BackgroundLoop:
    """A loop that an object owns and its sync methods use, from any thread, Jupyter's included.

    The thread starts with the first :meth:`run`. It ends with :meth:`close`, when the owner is
    collected, or when the process exits, whichever is first; what was registered with
    :func:`on_loop_close` is released before. A forked child gets a thread of its own with its
    first :meth:`run`, and leaves its parent's connections alone.

    Args:
        name: The thread's name.
    """

    _thread: _LoopThread | None
    _finalizer: weakref.finalize[..., BackgroundLoop] | None

    def __init__(self, name: str = "oumi-fireworks") -> None:
        self._name = name
        self._begin_without_thread()
        _INSTANCES.add(self)

    def __reduce__(self) -> tuple[type[BackgroundLoop], tuple[str]]:
        """Leave out the thread: a copy or an unpickled loop starts its own."""
        return BackgroundLoop, (self._name,)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return its result.

        It sees the caller's context variables. When the wait is interrupted (Ctrl-C), the
        coroutine is cancelled, its cleanup awaited, and the interruption raised again.

        Raises:
            RuntimeError: Called by a coroutine of this loop, which would wait for ever.
            concurrent.futures.CancelledError: The coroutine was cancelled, as by :meth:`close`.
        """
        call = _Call(coro, contextvars.copy_context())
        try:
            thread = self._running_thread()
            if threading.current_thread() is thread:
                raise RuntimeError("BackgroundLoop.run() was called by a coroutine that it runs.")
            thread.start_call(call)
            return call.result()
        except BaseException:
            # The coroutine's own failure, and then it is over, or an interruption, anywhere above.
            if not call.accepted:
                coro.close()
            elif not call.over.is_set():
                with contextlib.suppress(RuntimeError):  # closing, which cancels it, too
                    thread.submit(call.cancel)
                wait(call.over)
            raise

    def close(self) -> None:
        """Cancel what runs, release what was registered, end the thread. Safe to repeat.

        The next :meth:`run` starts anew.
        """
        with self._lock:
            finalizer = self._finalizer
            self._thread = self._finalizer = None
        if finalizer is not None:
            finalizer()

    def _running_thread(self) -> _LoopThread:
        with self._lock:
            if self._thread is None:
                self._thread = _LoopThread(self._name)
                # Finalizers run at exit, too, while daemon threads are still alive.
                self._finalizer = weakref.finalize(self, self._thread.shut)
            return self._thread

    def _begin_without_thread(self) -> None:
        self._lock = threading.Lock()
        self._thread = None
        self._finalizer = None

    def _leave_to_parent(self) -> None:
        """Forget, in a forked child, the thread that runs on in the parent."""
        if self._finalizer is not None:
            self._finalizer.detach()
        # The old lock may be held for ever by a thread that was not forked along.
        self._begin_without_thread()


def on_loop_close(release: Release) -> bool:
    """Have something released when the background loop that runs this ends, the last one first.

    Args:
        release: Called on the loop.

    Returns:
        False when the running loop is not a background loop: then the caller must see to it.
    """
    thread = threading.current_thread()
    if not isinstance(thread, _LoopThread):
        return False
    thread.releases.append(release)
    return True


class _Call(Generic[T]):
    """One coroutine on its way through the loop."""

    def __init__(self, coro: Coroutine[Any, Any, T], context: contextvars.Context) -> None:
        self.accepted = False
        self.over = threading.Event()
        self._coro = coro
        self._context = context
        self._future: Future[T] = Future()
        self._task: asyncio.Task[T] | None = None

    def result(self) -> T:
        wait(self.over)
        return self._future.result()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._coro, context=self._context)
        self._task.add_done_callback(self._finish)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:  # interrupted after it was accepted, before it was scheduled
            self._coro.close()
            self.over.set()

    def _finish(self, task: asyncio.Task[T]) -> None:
        self.over.set()
        if task.cancelled():
            self._future.set_exception(CancelledError())
        elif (error := task.exception()) is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(task.result())


class _LoopThread(threading.Thread):
    """The running half. It holds no reference to its owner, so that the owner can be collected.

    In a forked child the thread does not run, but its stack keeps this object for ever, and with
    it what is registered for release: so nothing there is collected, and the sockets and the
    epoll that the child shares with its parent stay untouched.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.releases: list[Release] = []
        self._lock = threading.Lock()
        self._closing = False
        self._serving = threading.Event()
        self.start()
        self._serving.wait()

    def run(self) -> None:
        # Not asyncio.run(): that ends with a thread more, to wait for the loop's worker threads,
        # and while the interpreter shuts down none can be started (Python 3.12 raises).
        loop = asyncio.new_event_loop()
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self._serve())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._serving.set()
        await self._ending.wait()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for release in reversed(self.releases):
            try:
                await release()
            except Exception:  # the others are to be released all the same
                logger.warning("Could not release %r", release, exc_info=True)

    def start_call(self, call: _Call[Any]) -> None:
        with self._lock:
            self._check_open()
            call.accepted = True
            self._loop.call_soon_threadsafe(call.start)

    def submit(self, callback: Callable[[], object]) -> None:
        # Under the lock, whatever is accepted comes before the stop and is therefore run.
        with self._lock:
            self._check_open()
            self._loop.call_soon_threadsafe(callback)

    def _check_open(self) -> None:
        if self._closing:
            raise RuntimeError("The background loop is closed.")

    def shut(self) -> None:
        with self._lock:
            if not self._closing:
                self._closing = True
                self._loop.call_soon_threadsafe(self._ending.set)
        if threading.current_thread() is not self:
            self.join()


_INSTANCES: weakref.WeakSet[BackgroundLoop] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for instance in list(_INSTANCES):
        instance._leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
