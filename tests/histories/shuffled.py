"""Threads of a use case without threads: each task runs when somebody waits for one, in an order that is drawn.

Nearly all tasks that repod does beside each other are one call of a store each, so an order of them is all that
their threads could have made of them.
"""

import random
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from repod.beside import Threads


class _Later(Future[Any]):
    """A task that is done once somebody waits for it."""

    def __init__(self, tasks: "Shuffled") -> None:
        super().__init__()
        self._tasks = tasks

    def result(self, timeout: float | None = None) -> Any:
        self._tasks.until(self)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._tasks.until(self)
        return super().exception(timeout)


class Shuffled(Executor):
    """Does tasks in the thread of who waits for them."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._left: list[tuple[_Later, Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        later = _Later(self)
        self._left.append((later, partial(fn, *args, **kwargs)))
        return later

    def until(self, wanted: Future[Any]) -> None:
        """Do tasks until ``wanted`` is done."""
        while not wanted.done():
            self._do(self._left.pop(self._draw.randrange(len(self._left))))

    def _do(self, task: tuple[_Later, Callable[[], Any]]) -> None:
        later, work = task
        if not later.set_running_or_notify_cancel():
            return
        try:
            later.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            later.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait
        if cancel_futures:
            self._left.clear()
        while self._left:
            self._do(self._left.pop())


def shuffled(draw: random.Random) -> Threads:
    """``Threads`` that are none."""

    def threads(count: int, name: str) -> Executor:
        del count, name
        return Shuffled(draw)

    return threads
