"""Processes that do one kind of task: limited in time, replaced when lost, gone with their parent.

They are forked from a small server process that holds the libraries ready and nothing else,
so that a new one is there in milliseconds and knows no secret that it was not given.
"""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.util
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from queue import LifoQueue
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from repod.errors import Unavailable

_Result = TypeVar("_Result")
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_START = 30.0  # seconds until a new process takes a task, on a busy machine
_LOOK = 0.5  # seconds between two looks at whether the pool still works on a task
_ATTEMPTS = 3
# Only mkdtemp is used there. The second is where the semaphores of processes lie anyway.
_SHORT = ("/tmp", "/dev/shm")  # noqa: S108
_LONGEST = 70  # bytes of TMPDIR, to which the name of a socket is added that may have 108

_servers = multiprocessing.get_context("forkserver")
_servers.set_forkserver_preload(["repod.rpmfile.worker", "repod.signing.workers"])


class Lost(Exception):
    """The task's process ended under it, each time that it was tried."""

    def __init__(self, exitcode: int | None) -> None:
        """``exitcode`` as ``Process.exitcode`` has it: negative is a signal."""
        super().__init__(f"the process ended (exit {exitcode})")
        self.exitcode = exitcode


class Overtime(Exception):
    """The task took longer than it may."""


class Processes:
    """``count`` processes for ``tasks``. Thread-safe: callers block until their own task is done."""

    def __init__(
        self,
        *,
        what: str,
        count: int,
        timeout: float,
        begin: Callable[..., None],
        arguments: Sequence[Any],
        tasks_each: int = 0,
    ) -> None:
        """``begin(*arguments)`` runs first in each process; ``timeout`` is seconds per task.

        A process is replaced after ``tasks_each`` tasks (0: never). ``what`` names the
        processes in messages.
        """
        self._what = what
        self._timeout = timeout
        self._begin = (begin, *arguments)
        self._tasks_each = tasks_each
        self._lock = Lock()
        self._closing = False
        # A pool per process: those of one pool share a lock, and one that is killed may hold it.
        # Callers wait here for a free one, so that it is known how long an answer can take.
        self._free: LifoQueue[ProcessPool] = LifoQueue()
        self._busy: set[ProcessFuture[Any]] = set()
        self._pools = {self._start() for _ in range(count)}
        for pool in self._pools:
            self._free.put(pool)

    def run(self, task: Callable[..., _Result], *arguments: Any, attempts: int = _ATTEMPTS) -> _Result:
        """The result of ``task(*arguments)`` in one of the processes; what it raises is raised here.

        Raises ``Overtime``, ``Lost`` where the process ended under the task ``attempts``
        times, and ``Unavailable`` after ``close``.
        """
        lost = Lost(None)
        pool = self._free.get()
        try:
            for _ in range(attempts):
                try:
                    return self._attempt(pool, task, arguments)
                except ProcessExpired as error:
                    lost = Lost(error.exitcode)
                except BrokenProcessPool:
                    pass
                pool = self._replaced(pool)
        finally:
            self._free.put(pool)
        raise lost

    def close(self) -> None:
        """End the processes, whatever they are at; callers that wait get ``Unavailable``."""
        with self._lock:
            self._closing = True
            pools, self._pools = self._pools, set()
            running = list(self._busy)
        for future in running:
            future.cancel()  # type: ignore[no-untyped-call]
        for pool in pools:
            _end(pool)

    def _replaced(self, pool: ProcessPool) -> ProcessPool:
        """A new pool in place of one whose process was lost."""
        with self._lock:
            if self._closing:
                raise self._closed()
            self._pools.discard(pool)
            new = self._start()
            self._pools.add(new)
        _end(pool)
        return new

    def _attempt(self, pool: ProcessPool, task: Callable[..., _Result], arguments: Sequence[Any]) -> _Result:
        future = self._schedule(pool, task, arguments)
        try:
            return self._result(pool, future)
        finally:
            with self._lock:
                self._busy.discard(future)

    def _result(self, pool: ProcessPool, future: ProcessFuture[_Result]) -> _Result:
        """Wait for the result; ``BrokenProcessPool`` where the pool lost the task."""
        deadline = monotonic() + self._timeout + _START
        while True:
            try:
                return future.result(_LOOK)
            except CancelledError as error:
                raise self._closed() from error
            except TimeoutError as error:
                if future.done():
                    raise Overtime from error
                if not pool.active or monotonic() > deadline:
                    future.cancel()  # type: ignore[no-untyped-call]
                    msg = "a process was lost before it could say which task it had"
                    raise BrokenProcessPool(msg) from error

    def _closed(self) -> Unavailable:
        return Unavailable(f"the {self._what} processes are stopped: repod is shutting down")

    def _start(self) -> ProcessPool:
        _keep_sockets_short()
        return ProcessPool(
            max_workers=1,
            max_tasks=self._tasks_each,
            initializer=_begin,
            initargs=self._begin,
            context=_servers,
        )

    def _schedule(
        self, pool: ProcessPool, task: Callable[..., _Result], arguments: Sequence[Any]
    ) -> ProcessFuture[_Result]:
        with self._lock:
            if self._closing:
                raise self._closed()
            try:
                future: ProcessFuture[_Result] = pool.schedule(task, args=arguments, timeout=self._timeout)
            except RuntimeError as error:  # its process ended while it was idle
                msg = "the pool broke before it took the task"
                raise BrokenProcessPool(msg) from error
            self._busy.add(future)
            return future


def _keep_sockets_short() -> None:
    """Have multiprocessing keep its sockets elsewhere where TMPDIR is too long for them, or there is none."""
    with contextlib.suppress(FileNotFoundError):  # everything is read-only, as in a container
        if len(os.fsencode(tempfile.gettempdir())) <= _LONGEST:
            return
    before = tempfile.tempdir
    try:
        for tempfile.tempdir in _SHORT:
            with contextlib.suppress(OSError):
                multiprocessing.util.get_temp_dir()  # makes the directory once and remembers it
                return
    finally:
        tempfile.tempdir = before


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _begin(begin: Callable[..., None], *arguments: Any) -> None:
    """Confine the process: no core dump, no look from others of its user, no new privileges."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A terminal's Ctrl-C goes to the whole group; the parent decides when these end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    begin(*arguments)
