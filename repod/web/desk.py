"""Threads for work that waits for others: where that hangs, nothing else of the listener does."""

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from repod.errors import Unavailable

_Result = TypeVar("_Result")
_Task = tuple[Future[Any], Callable[[], Any]]


class Desk:
    """A few threads and a short queue before them. The process may end while they wait for somebody."""

    def __init__(self, *, threads: int, waiting: int) -> None:
        """At most ``waiting`` tasks stand in the queue."""
        self._threads = threads
        self._waiting = waiting
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._staff = 0
        self._lock = threading.Lock()
        self._open = 0

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """What ``work`` returns, done by a thread; ``Unavailable`` at once where too much waits already."""
        with self._lock:
            # Not what is in the queue: threads may be about to take that up.
            if self._open >= self._threads + self._waiting:
                msg = f"{self._waiting} requests wait already; try again later"
                raise Unavailable(msg)
            self._open += 1
        future: Future[_Result] = Future()
        future.add_done_callback(self._ended)
        self._tasks.put((future, work))
        if self._staff < self._threads:
            self._staff += 1
            threading.Thread(target=self._serve, name=f"desk {next(self._numbers)}", daemon=True).start()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Send the threads home, each after what it does now."""
        for _ in range(self._staff):
            self._tasks.put(None)

    def _ended(self, _future: Future[Any]) -> None:
        with self._lock:
            self._open -= 1

    def _serve(self) -> None:
        while task := self._tasks.get():
            future, work = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
                    future.set_exception(error)
