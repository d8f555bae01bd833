"""Changes over HTTP: each is a job, which goes on whether or not somebody waits for it.

Jobs live in memory. What they change does not need them: a change is durable, or did not happen, by the store.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from repod.errors import RepodError
from repod.office import Deed, Far
from repod.web.desk import Desk

KEPT_SECONDS = 3600.0
KEPT = 1000
_HEX = 16


class Log(Protocol):
    """What hears of changes."""

    def info(self, event: str, **fields: Any) -> object:
        """One line."""

    def error(self, event: str, **fields: Any) -> object:
        """One line."""


Work = Callable[[Far], Deed]
"""A change: it tells how far it is, and returns what came of it."""


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One change. Times are seconds since 1970.

    ``progress`` is what is being done, how many of it, of how many. ``deed`` or ``error`` is there when it ended.
    """

    id: str
    what: str
    repository: str
    actor: str
    created: float
    ended: float | None = None
    progress: tuple[str, int, int] | None = None
    deed: Deed | None = None
    error: BaseException | None = None
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Jobs:
    """All jobs of a daemon. Only the event loop of the listener uses it."""

    def __init__(self, desk: Desk, log: Log, clock: Callable[[], float] = time.time) -> None:
        """``desk``: the threads that do the work, apart from those that answer questions."""
        self._desk = desk
        self._log = log
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    def start(self, what: str, repository: str, actor: str, work: Work) -> Job:
        """A new job; ``what`` is its name for people."""
        self._forget()
        job = Job(id=secrets.token_hex(_HEX), what=what, repository=repository, actor=actor, created=self._clock())
        self._jobs[job.id] = job
        # Its own task: who asked may hang up.
        job.task = asyncio.create_task(self._run(job, work))
        return job

    async def wait(self, job: Job, seconds: float) -> None:
        """Return when it has ended, or after that time."""
        if job.task is not None and not job.task.done():
            await asyncio.wait([job.task], timeout=seconds)

    def find(self, key: str) -> Job | None:
        """The job of that id, if it is still known."""
        self._forget()
        return self._jobs.get(key)

    def close(self) -> None:
        """Send the threads home, each after what it does now."""
        self._desk.close()

    async def _run(self, job: Job, work: Work) -> None:
        def far(what: str, done: int, total: int) -> None:
            job.progress = (what, done, total)

        try:
            job.deed = await self._desk.run(lambda: work(far))
        except RepodError as error:
            job.error = error
            self._log.info("change not made", **_about(job), problem=str(error))
        except Exception as error:  # noqa: BLE001 - it is told to who asks for the job
            job.error = error
            self._log.error("change failed", **_about(job), problem=repr(error), exc_info=True)
        else:
            word = "change refused" if job.deed.refused else "change"
            self._log.info(word, **_about(job), generation=job.deed.generation, result=job.deed.text)
        finally:
            job.ended = self._clock()

    def _forget(self) -> None:
        """Let go of those that ended long ago, and of the oldest where there are too many."""
        ended = [job for job in self._jobs.values() if job.ended is not None]
        many = len(self._jobs) - KEPT + 1
        now = self._clock()
        old = [job for job in ended if now - (job.ended or now) > KEPT_SECONDS]
        for job in (*old, *ended[: max(0, many)]):
            self._jobs.pop(job.id, None)


def _about(job: Job) -> dict[str, str]:
    return {"what": job.what, "repository": job.repository, "by": job.actor, "job": job.id}


def lines_of(deed: Deed) -> Sequence[str]:
    """Why a policy said no, a line each."""
    found: list[Any] = [line for row in deed.rows for line in row.get("refused", ())]
    return [str(line) for line in found] or [f"a policy of {deed.repository} says no"]
