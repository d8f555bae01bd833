"""Threads of a use case without threads: each task is done where it is handed over, so steps keep their order."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class _Inline(Executor):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done = Future[Any]()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            done.set_exception(error)
        return done


def inline(count: int, name: str) -> Executor:
    """See ``repod.beside.Threads``."""
    del count, name
    return _Inline()
