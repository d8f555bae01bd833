"""Files read in processes of their own: what a file does there costs that file."""

import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from repod.doors import Unreadable
from repod.errors import Unavailable
from repod.package import Entry, Facts, Fault, Package, StorePath
from repod.processes import Lost, Overtime, Processes
from repod.rpmfile import worker

_Result = TypeVar("_Result")
_TASKS_PER_PROCESS = 2000  # what a native library may leak ends with its process


class RpmWorkers:
    """``Rpms`` through a pool of processes.

    ``count`` processes; a task has ``timeout`` seconds and its process ``memory`` bytes
    of address space. Thread-safe: callers block until their own task is done.
    """

    def __init__(self, *, count: int, timeout: float, memory: int) -> None:
        """``count`` 0 means one per processor."""
        self.count = count or os.cpu_count() or 1
        self._timeout = timeout
        self._processes = Processes(
            what="worker",
            count=self.count,
            timeout=timeout,
            begin=_limit,
            arguments=[memory],
            tasks_each=_TASKS_PER_PROCESS,
        )

    def examine(self, path: Path, trusted: bytes) -> Facts:
        """See ``Rpms.examine``."""
        return self.run(worker.examine, path, trusted)

    def seal(self, path: Path, signature: bytes | None, published: bytes, href: StorePath, changelogs: int) -> Entry:
        """See ``Rpms.seal``."""
        return self.run(worker.seal, path, signature, published, href, changelogs)

    def describe(self, path: Path, known: Package | None, href: StorePath, changelogs: int) -> Entry:
        """See ``Rpms.describe``."""
        return self.run(worker.describe, path, known, href, changelogs)

    def glance(self, path: Path, known: Package, trusted: bytes) -> Facts:
        """See ``Rpms.glance``."""
        return self.run(worker.glance, path, known, trusted)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        self._processes.close()

    def run(self, task: Callable[..., _Result], *arguments: Any) -> _Result:
        """The result of any task on a file; ``Unreadable`` as for RPMs. Task and result must pickle."""
        kind, value = self._answer(task, *arguments)
        if kind == "unreadable":
            raise Unreadable(*value)
        if kind == "unavailable":
            raise Unavailable(value)
        result: _Result = value
        return result

    def _answer(self, task: Callable[..., Any], *arguments: Any) -> worker.Answer:
        """What the task answers. A lost process is given one more try: it may not have been the file's fault."""
        try:
            return self._processes.run(worker.answer, task, *arguments, attempts=2)
        except Overtime:
            text = f"reading it took more than {self._timeout:g} s; raise [workers] timeout if it is sound"
        except Lost as error:
            text = f"it crashed the process that read it (exit {error.exitcode}), twice; see [workers] memory"
        return ("unreadable", (Fault(code="reader", text=text),))


class Share(RpmWorkers):
    """A part of the processes of others: half of them, so that who waits for one never waits for a long row."""

    def __init__(self, of: RpmWorkers) -> None:
        """Closing it closes nothing; once ``of`` is closed, every task is ``Unavailable``."""
        self.count = max(1, of.count // 2)
        self._of = of
        self._turns = threading.BoundedSemaphore(self.count)

    def run(self, task: Callable[..., _Result], *arguments: Any) -> _Result:
        """See ``RpmWorkers.run``."""
        with self._turns:
            return self._of.run(task, *arguments)

    def close(self) -> None:
        """The processes stay with whom they belong to."""


def _limit(memory: int) -> None:
    """Bound this process's memory; native libraries write about files that we refuse anyway."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with Path(os.devnull).open("w") as null:
        os.dup2(null.fileno(), 2)
