"""A store that fails, or dies, before or after any chosen step; so no test patches what we own.

Run once with ``FaultyStore(inner)`` and look at ``steps``: that many places there are to fail
at. Then, for each, run again on a fresh inner store with ``at(number, moment, act)``.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Literal, NoReturn

from repod.doors import Blob, Expect, Part, Store, Stored, Version
from repod.package import Sha256, StorePath

Moment = Literal["before", "after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of a door: ``number`` counts from 1, ``name`` is the method's."""

    number: int
    name: str
    path: str
    moment: Moment = "before"

    def __str__(self) -> str:
        return f"{self.name} {self.path}"


class Crash(BaseException):
    """The process is said to have died here: nothing may catch it, and nothing is tidied up."""


Plan = Callable[[Step], None]
"""Called before and after each step; what it raises is what the caller of the store gets."""


def nothing(_: Step) -> None:
    """The plan by which all goes well."""


def at(number: int, moment: Moment, act: Callable[[], None]) -> Plan:
    """The plan that does ``act`` once: before or after step ``number``.

    After a step that itself raised there is no "after".
    """

    def plan(step: Step) -> None:
        if (step.number, step.moment) == (number, moment):
            act()

    return plan


def raising(error: BaseException) -> Callable[[], NoReturn]:
    """An act that raises ``error``, such as ``Unavailable("disk full")`` or ``Crash()``."""

    def act() -> NoReturn:
        raise error

    return act


class FaultyStore:
    """``Store`` over another. ``plan`` may be changed at any time: a disk gets full, and free again."""

    def __init__(self, inner: Store, plan: Plan = nothing) -> None:
        self.plan = plan
        self.steps: list[Step] = []
        self._inner = inner
        self._lock = Lock()

    def read(self, path: StorePath) -> Blob:
        with self._step("read", path):
            return self._inner.read(path)

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self._step("stream", path):
            yield from self._inner.stream(path, offset, length)

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        with self._step("write", path):
            return self._inner.write(path, data, expect)

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        with self._step("add", path):
            self._inner.add(path, parts, checksum)

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: Store | None = None) -> None:
        with self._step("copy", target):
            self._inner.copy(source, target, checksum, of=of)

    def list(self, prefix: str) -> Iterable[Stored]:
        with self._step("list", prefix):
            yield from self._inner.list(prefix)

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        with self._step("remove", path):
            return self._inner.remove(path, seen=seen)

    def sweep(self) -> int:
        return self._inner.sweep()

    def prove(self) -> None:
        self._inner.prove()

    @contextmanager
    def _step(self, name: str, path: str) -> Iterator[None]:
        with self._lock:
            step = Step(number=len(self.steps) + 1, name=name, path=path)
            self.steps.append(step)
        self.plan(step)
        yield
        self.plan(replace(step, moment="after"))
