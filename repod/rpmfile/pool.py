"""Files read in processes of their own: what a file does there costs that file."""

import importlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from repod.confinement.answers import Dishonest
from repod.confinement.bounds import Bounds
from repod.doors import Unreadable
from repod.errors import Unavailable
from repod.package import Entry, Facts, Fault, Package, StorePath
from repod.processes import Lost, Overtime, Processes
from repod.rpmfile import worker

_Result = TypeVar("_Result")
_TASKS_PER_PROCESS = 2000  # what a native library may leak ends with its process
_TASKS = ("repod.rpmfile.worker", "repod.rpmfile.issuers", "repod.rpmfile.signatures")
_ANSWERS = ("repod.package", "repod.doors")
_DOCUMENTS = ("repod.repodata.carried", "repod.repodata.reader")
_DOCUMENT_ANSWERS = tuple(
    f"repod.repodata.{kind}" for kind in ("carried", "bulletins", "updateinfo", "modules", "comps")
)


class RpmWorkers:
    """``Rpms`` through a pool of processes, and documents through one more.

    ``count`` processes; a task has ``timeout`` seconds and its process ``bounds``: nothing of the machine but
    the files in one folder. Thread-safe: callers block until their own task is done.
    """

    def __init__(self, *, count: int, timeout: float, bounds: Bounds) -> None:
        """``count`` 0 means one per processor."""
        self.count = count or os.cpu_count() or 1
        self._timeout = timeout
        self._processes = Processes(
            what="worker",
            count=self.count,
            timeout=timeout,
            begin=_import,
            arguments=_TASKS,
            bounds=bounds,
            answers=_ANSWERS,
            tasks_each=_TASKS_PER_PROCESS,
        )
        # What reads documents takes a second to import, and cannot be once the process is confined.
        self._documents = Processes(
            what="document",
            count=1,
            timeout=timeout,
            begin=_import,
            arguments=_DOCUMENTS,
            bounds=bounds,
            answers=(*_ANSWERS, *_DOCUMENT_ANSWERS),
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
        self._documents.close()

    def gaps(self) -> Sequence[str]:
        """What this kernel does not do of what confines the processes."""
        return self._processes.gaps()

    def run(self, task: Callable[..., _Result], *arguments: Any) -> _Result:
        """The result of any task on an RPM; ``Unreadable`` as for RPMs. Task and result must pickle."""
        return self._done(self._processes, task, *arguments)

    def run_document(self, task: Callable[..., _Result], *arguments: Any) -> _Result:
        """The same of a task on a document, in a process that no RPM comes to."""
        return self._done(self._documents, task, *arguments)

    def _done(self, processes: Processes, task: Callable[..., _Result], *arguments: Any) -> _Result:
        kind, value = self._answer(processes, task, *arguments)
        if kind == "unreadable":
            raise Unreadable(*value)
        if kind == "unavailable":
            raise Unavailable(value)
        result: _Result = value
        return result

    def _answer(self, processes: Processes, task: Callable[..., Any], *arguments: Any) -> worker.Answer:
        """What the task answers. A lost process is given one more try: it may not have been the file's fault."""
        try:
            return processes.run(worker.answer, task, *arguments, attempts=2)
        except Overtime:
            text = f"reading it took more than {self._timeout:g} s; raise [workers] timeout if it is sound"
        except Lost as error:
            if error.exitcode == -signal.SIGSYS:
                text = "it made its reader ask for what no reader needs, and the kernel ended that (SIGSYS)"
            else:
                text = f"it crashed the process that read it (exit {error.exitcode}), twice; see [workers] memory"
        except Dishonest as error:
            text = f"it took over the process that read it: {error}"
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

    def run_document(self, task: Callable[..., _Result], *arguments: Any) -> _Result:
        """See ``RpmWorkers.run_document``."""
        return self._of.run_document(task, *arguments)

    def gaps(self) -> Sequence[str]:
        """See ``RpmWorkers.gaps``."""
        return self._of.gaps()

    def close(self) -> None:
        """The processes stay with whom they belong to."""


def _import(*modules: str) -> None:
    """Have ready what tasks need: once confined, a process opens no file of Python's any more."""
    for module in modules:
        importlib.import_module(module)
