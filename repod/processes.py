"""Processes that do one kind of task: limited in time, replaced when lost, gone with their parent.

They are forked from a small server process that holds the libraries ready and nothing else,
so that a new one is there in milliseconds and knows no secret that it was not given. Before its
first task it gives up all that its tasks do not need (``confinement``), and what it answers is
read as a stranger's word (``answers``).
"""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.util
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as _Pipe
from multiprocessing.process import BaseProcess
from queue import LifoQueue
from threading import Lock
from typing import Any, TypeVar

from repod.confinement.answers import read
from repod.confinement.bounds import Bounds, allow_time, confine, let_go, shield
from repod.errors import Misconfigured, Unavailable

_Result = TypeVar("_Result")
_CREDENTIALS = "AWS_"
_START = 30.0  # seconds until a new process takes a task, on a busy machine
_LAST_WORDS = 3.0  # seconds that a process whose pipe is closed gets to end
_LONGEST_WAIT = 20 * 86400.0  # seconds; poll counts milliseconds in an int
_ATTEMPTS = 3
# Only mkdtemp is used there. The second is where the semaphores of processes lie anyway.
_SHORT = ("/tmp", "/dev/shm")  # noqa: S108  # nosec B108
_LONGEST = 70  # bytes of TMPDIR, to which the name of a socket is added that may have 108

# multiprocessing looks at all children whenever one is started, and who looks takes the exit code.
_births_and_deaths = Lock()
_servers = multiprocessing.get_context("forkserver")
_servers.set_forkserver_preload(["repod.preload"])


# What this process does not do of its bounds.
_gaps: list[str] = []


def _found() -> Sequence[str]:
    return _gaps


class Lost(Exception):
    """The task's process ended under it, each time that it was tried."""

    def __init__(self, exitcode: int | None) -> None:
        """``exitcode`` as ``Process.exitcode`` has it: negative is a signal."""
        super().__init__(f"the process ended (exit {exitcode})")
        self.exitcode = exitcode


class Unconfined(Misconfigured):
    """A process is not within its bounds, and must be: a line for each thing that is missing."""

    def __init__(self, gaps: Sequence[str]) -> None:
        """``gaps`` as ``Processes.gaps`` has them."""
        way = 'use a kernel that can, or say "auto"'
        super().__init__(
            *(f'[workers] confine is "require", and a process is not confined: {gap}; {way}' for gap in gaps)
        )


class Overtime(Exception):
    """The task took longer than it may."""


class _Closed(Exception):
    """No task is begun any more."""


def start_server() -> None:
    """Have the server process come up while its first user is still busy with something else."""
    with contextlib.suppress(OSError), _without_credentials():  # its first user meets the same, and can say so
        _keep_sockets_short()
        multiprocessing.forkserver.ensure_running()


@contextlib.contextmanager
def _without_credentials() -> Iterator[None]:
    """Let what is started meanwhile, the server's helpers too, not inherit those of AWS."""
    held = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_CREDENTIALS)}
    try:
        yield
    finally:
        os.environ.update(held)


def forget_credentials() -> None:
    """Wipe those of AWS out of this process's environment, also as /proc shows it: none of its tasks needs them."""
    environ = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    place = 0
    while pointer := environ[place]:
        text = ctypes.string_at(pointer)
        if text.startswith(_CREDENTIALS.encode()):
            ctypes.memset(pointer, 0, len(text))
        place += 1
    for name in [name for name in os.environ if name.startswith(_CREDENTIALS)]:
        del os.environ[name]


class Processes:
    """Up to ``count`` processes for ``tasks``. Thread-safe: callers block until their own task is done.

    A process begins when it is first needed: who has little to do has few of them.
    """

    def __init__(
        self,
        *,
        what: str,
        count: int,
        timeout: float,
        begin: Callable[..., object],
        arguments: Sequence[Any],
        bounds: Bounds,
        answers: Sequence[str] = (),
        tasks_each: int = 0,
    ) -> None:
        """``begin(*arguments)`` runs first in each process, free as its parent; its tasks then within ``bounds``.

        ``timeout`` is seconds per task. Of what tasks answer, plain data come through, and the dataclasses
        of the modules ``answers``. A process is replaced after ``tasks_each`` tasks (0: never). ``what``
        names the processes in messages.
        """
        self._what = what
        kind = _Kind(begin=(begin, *arguments), bounds=bounds, answers=answers, timeout=timeout, tasks_each=tasks_each)
        self._workers = [_Worker(kind) for _ in range(count)]
        # Callers wait here for a free one, so that it is known how long an answer can take;
        # last in, first out, so that a second process begins only where one is not enough.
        self._free: LifoQueue[_Worker] = LifoQueue()
        for worker in self._workers:
            self._free.put(worker)

    def run(self, task: Callable[..., _Result], *arguments: Any, attempts: int = _ATTEMPTS) -> _Result:
        """The result of ``task(*arguments)`` in one of the processes; what it raises is raised here.

        Raises ``Overtime``, ``Lost`` where the process ended under the task ``attempts``
        times, ``Unconfined`` where its bounds must hold and do not, and ``Unavailable`` after ``close``.
        """
        lost = Lost(None)
        worker = self._free.get()
        try:
            for _ in range(attempts):
                try:
                    return worker.run(task, arguments)
                except Lost as error:
                    lost = error
        except _Closed as error:
            raise Unavailable(f"the {self._what} processes are stopped: repod is shutting down") from error
        finally:
            self._free.put(worker)
        raise lost

    def gaps(self) -> Sequence[str]:
        """What this kernel does not do of their bounds, as a process that was begun found it; see ``run``."""
        return self.run(_found)

    def close(self) -> None:
        """End the processes, whatever they are at; callers that wait get ``Unavailable``."""
        for worker in self._workers:
            worker.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What processes of one kind have in common; see ``Processes``. ``begin`` is a function and its arguments."""

    begin: Sequence[Any]
    bounds: Bounds
    answers: Sequence[str]
    timeout: float
    tasks_each: int


class _Worker:
    """A process and the pipe to it, begun when it is needed. For one caller at a time."""

    def __init__(self, kind: _Kind) -> None:
        self._kind = kind
        self._timeout = min(kind.timeout, _LONGEST_WAIT)
        self._lock = Lock()
        self._closing = False
        self._running: tuple[BaseProcess, _Pipe] | None = None
        self._done = 0
        self._gaps: Sequence[str] = ()

    def run(self, task: Callable[..., _Result], arguments: Sequence[Any]) -> _Result:
        """See ``Processes.run``; ``_Closed`` after ``close``."""
        pipe, new = self._started()
        try:
            if new:
                _, self._gaps = read(_awaited(pipe, _START, EOFError), ())
            if task is not _found:
                self._refuse_gaps()
            pipe.send((task, arguments))
            done, answer = read(_awaited(pipe, self._timeout, Overtime), self._kind.answers)
        except (EOFError, OSError) as error:
            raise Lost(self._end(_LAST_WORDS)) from error
        except BaseException:
            self._end()
            raise
        self._done += 1
        if self._done == self._kind.tasks_each:
            self._end()
        if not done:
            raise answer
        result: _Result = answer
        return result

    def _refuse_gaps(self) -> None:
        if self._gaps and self._kind.bounds.mode == "require":
            raise Unconfined(self._gaps)

    def close(self) -> None:
        """End the process for good; may be called while another thread is in ``run``."""
        with self._lock:
            self._closing = True
        self._end()

    def _started(self) -> tuple[_Pipe, bool]:
        """The pipe to the process, and whether that is new and will first say that it has begun."""
        with self._lock:
            if self._closing:
                raise _Closed
            new = self._running is None
            if self._running is None:
                self._running = _start(self._kind)
                self._done = 0
            return self._running[1], new

    def _end(self, patience: float = 0) -> int | None:
        """Have the process end, after ``patience`` seconds by force; its exit code, None where it is not known."""
        with self._lock:
            running, self._running = self._running, None
        if running is None:
            return None
        process, _ = running
        with _births_and_deaths:
            process.join(patience)
            if process.is_alive():
                process.kill()
                process.join(_LAST_WORDS)
            return process.exitcode


def _start(kind: _Kind) -> tuple[BaseProcess, _Pipe]:
    _keep_sockets_short()
    ours, theirs = _servers.Pipe()
    # Held by nobody else, so that either end sees it when the other is gone.
    with theirs, _births_and_deaths:
        process = _servers.Process(target=_serve, args=(theirs, kind.bounds, kind.timeout, *kind.begin), daemon=True)
        process.start()
    return process, ours


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


def _awaited(pipe: _Pipe, seconds: float, late: type[Exception]) -> bytes:
    """The next message; ``late`` where none comes in time, ``EOFError`` where the process is gone."""
    if not pipe.poll(seconds):
        raise late
    return pipe.recv_bytes()


def _serve(pipe: _Pipe, bounds: Bounds, timeout: float, begin: Callable[..., object], *arguments: Any) -> None:
    """What a process does: say that it has begun, then one task after the other until nobody gives any."""
    shield()
    let_go(pipe.fileno())
    begin(*arguments)
    _gaps.extend(confine(bounds))
    with contextlib.suppress(EOFError, ConnectionError):
        pipe.send((True, _gaps))
        while True:
            task, given = pipe.recv()
            allow_time(timeout)
            pipe.send(_answer(task, given))


def _answer(task: Callable[..., Any], arguments: Sequence[Any]) -> tuple[bool, Any]:
    try:
        return True, task(*arguments)
    except Exception as error:  # noqa: BLE001 - it is the caller's
        return False, error
