"""The worker processes: each task in its own limits, a lost process costs one task."""

import ctypes
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from repod.doors import Unreadable
from repod.errors import Unavailable
from repod.package import Entry, Facts, Fault, StorePath
from repod.rpmfile import worker

_Result = TypeVar("_Result")
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_TASKS_PER_PROCESS = 2000  # what a native library may leak ends with its process


class RpmWorkers:
    """``Rpms`` through a pool of processes.

    ``count`` processes; a task has ``timeout`` seconds and its process ``memory`` bytes
    of address space. Thread-safe: callers block until their own task is done.
    """

    def __init__(self, *, count: int, timeout: float, memory: int) -> None:
        """Start the processes; they warm up while the caller goes on."""
        self.count = count or os.cpu_count() or 1
        self._timeout = timeout
        self._pool = ProcessPool(
            max_workers=self.count,
            max_tasks=_TASKS_PER_PROCESS,
            initializer=_confine,
            initargs=[memory],
            context=multiprocessing.get_context("spawn"),
        )
        for _ in range(self.count):
            self._pool.schedule(os.getpid)

    def examine(self, path: Path, trusted: bytes) -> Facts:
        """See ``Rpms.examine``."""
        return self._run(worker.examine, path, trusted)

    def seal(self, path: Path, signature: bytes | None, published: bytes, href: StorePath, changelogs: int) -> Entry:
        """See ``Rpms.seal``."""
        return self._run(worker.seal, path, signature, published, href, changelogs)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def _run(self, task: Callable[..., _Result], *arguments: Any) -> _Result:
        kind, value = self._answer(task, *arguments)
        if kind == "unreadable":
            raise Unreadable(*value)
        if kind == "unavailable":
            raise Unavailable(value)
        result: _Result = value
        return result

    def _answer(self, task: Callable[..., Any], *arguments: Any) -> worker.Answer:
        try:
            future: Future[worker.Answer] = self._pool.schedule(
                worker.answer, args=(task, *arguments), timeout=self._timeout
            )
        except RuntimeError as error:
            msg = "the worker processes are stopped: repod is shutting down"
            raise Unavailable(msg) from error
        try:
            return future.result()
        except FutureTimeoutError:
            text = f"reading it took more than {self._timeout:g} s; raise [workers] timeout if it is sound"
        except ProcessExpired as error:
            text = f"it crashed the process that read it (exit {error.exitcode}); see [workers] memory"
        except CancelledError as error:
            msg = "the worker processes are stopped: repod is shutting down"
            raise Unavailable(msg) from error
        return ("unreadable", (Fault(code="reader", text=text),))


def _confine(memory: int) -> None:
    """Limit this process: no core, bounded memory, no new privileges, gone with its parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # A terminal's Ctrl-C goes to the whole group; the parent decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Path(os.devnull).open("w") as null:  # native libraries write about files we refuse anyway
        os.dup2(null.fileno(), 2)
