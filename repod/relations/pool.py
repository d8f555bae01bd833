"""The process that asks libsolv: begun when it is first needed, bounded in time and memory."""

import importlib
from collections.abc import Callable, Collection, Sequence

from repod.confinement.answers import Dishonest
from repod.confinement.bounds import Bounds
from repod.errors import Unavailable
from repod.package import Nevra
from repod.processes import Lost, Overtime, Processes
from repod.relating import Plain
from repod.relations import worker
from repod.relations.worker import Asked


class RelationWorker:
    """One process; the packages that it read last it keeps, so that the next question about them is cheap.

    Each question has ``timeout`` seconds, and the process ``bounds``: the documents to read, and nothing else.
    Raises ``Unavailable`` where it could not answer, ``Corrupt`` where a document cannot be read.
    """

    def __init__(self, *, timeout: float, bounds: Bounds) -> None:
        """Nothing is begun yet."""
        self._timeout = timeout
        self._processes = Processes(
            what="libsolv",
            count=1,
            timeout=timeout,
            begin=importlib.import_module,
            arguments=[worker.__name__],
            bounds=bounds,
            answers=("repod.package", "repod.doors", worker.__name__),
        )

    def broken(self, listing: Plain, going: Collection[Nevra]) -> Asked:
        """See ``Relations.broken``."""
        return self._ask(worker.broken, listing, frozenset(going))

    def unmet(self, repositories: Sequence[Plain], coming: Plain, arches: Sequence[str]) -> Asked:
        """See ``Relations.unmet``; ``arches`` are those of the repository that they come to."""
        machines = worker.hosts(arches)
        unmet: dict[Nevra, list[str]] = {}
        paths: set[str] = set()
        for host in machines:
            where = f" (on {host})" if len(machines) > 1 else ""
            start: int | None = 0
            while start is not None:
                answer = self._ask(worker.unmet, tuple(repositories), coming, host, start)
                for nevra, texts in answer.unmet.items():
                    unmet.setdefault(nevra, []).extend(text + where for text in texts)
                paths |= set(answer.paths)
                start = answer.following
        return Asked(paths=sorted(paths), unmet=unmet)

    def close(self) -> None:
        """End the process."""
        self._processes.close()

    def _ask(self, task: Callable[..., Asked], *arguments: object) -> Asked:
        try:
            return self._processes.run(task, *arguments, attempts=2)
        except Overtime as error:
            msg = f"what packages require took more than {self._timeout:g} s to find out; raise [workers] timeout"
            raise Unavailable(msg) from error
        except Dishonest as error:
            msg = f"what packages require was not found out: a document took over the process that read it: {error}"
            raise Unavailable(msg) from error
        except (Lost, MemoryError) as error:
            how = f"ended twice (exit {error.exitcode})" if isinstance(error, Lost) else "has too little"
            msg = f"what packages require was not found out: its process {how}; see [workers] memory"
            raise Unavailable(msg) from error
