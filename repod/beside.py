"""Work done beside each other: where use cases and adapters get the threads that they wait with.

Whoever uses threads takes ``Threads`` as an argument, so that a test decides what runs when.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Protocol


class Threads(Protocol):
    """A door to threads."""

    def __call__(self, count: int, name: str) -> Executor:
        """At most ``count`` threads, called ``name``; whoever asked for them shuts them down."""


def threads(count: int, name: str) -> Executor:
    """``Threads`` of this process."""
    return ThreadPoolExecutor(count, thread_name_prefix=name)


def finished(futures: Iterable[Future[Any]]) -> None:
    """Wait until none of ``futures`` is under way any more, whatever came of it."""
    for future in futures:
        future.exception()


def beside(executor: Executor, *calls: Callable[[], Any]) -> Sequence[Any]:
    """What each of ``calls`` returns, made beside each other; none is under way any more where one raises."""
    futures = [executor.submit(call) for call in calls]
    finished(futures)
    return [future.result() for future in futures]
