"""When one repository is pruned, and what log and metrics hear of it."""

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from repod.doors import Clock
from repod.errors import RepodError
from repod.generation import Generation
from repod.prune import Pruned, Pruner
from repod.retention import Verdict, summary

if TYPE_CHECKING:  # a command whose metrics nobody reads does without the library
    from repod.metrics import Metrics

_EVERY = 600.0
_SHARE = 50.0  # what took one second is not done again for so many
_AFTER_FAILURE = 60.0
_LONG_ENOUGH = 5.0  # seconds that one run may remove package files, while arrivals wait
_NAMED = 10


class Log(Protocol):
    """As much of structlog's logger as this uses."""

    def info(self, event: str, **fields: Any) -> Any:
        """Something that should be known happened."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something is not as it should be; repod goes on."""

    def error(self, event: str, **fields: Any) -> Any:
        """Something could not be done."""


class Pruning:
    """Prunes one repository seldom enough that it costs nobody anything; a failure is told and tried again."""

    def __init__(
        self,
        *,
        name: str,
        pruner: Pruner,
        metrics: "Metrics",
        log: Log,
        hear: Callable[[Pruned], object] = lambda _: None,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
    ) -> None:
        """``name`` is the repository's; ``hear`` is told of every run. ``monotonic`` counts seconds for what is due."""
        self._name = name
        self._pruner = pruner
        self._metrics = metrics
        self._log = log
        self._hear = hear
        self._clock = clock
        self._monotonic = monotonic
        self._last = -math.inf
        self._not_before = -math.inf
        self._seen = -1
        self._told = ""
        self._notes: Sequence[str] = ()

    def after_turn(self, number: int, *, quiet: bool, stopping: Callable[[], bool]) -> Generation | None:
        """Prune if it is time: after a publish once the inbox is quiet, and every ten minutes.

        ``number``: the current generation as far as is known. The generation that was published, if any.
        """
        now = self._monotonic()
        overdue = now - self._last >= _EVERY
        if now < self._not_before or not (overdue or (quiet and number != self._seen)):
            return None
        deadline = now + _LONG_ENOUGH
        self._seen = number
        try:
            pruned = self._pruner.prune(self._clock(), lambda: stopping() or self._monotonic() > deadline)
        except Exception as error:  # noqa: BLE001 - packages are taken in whatever pruning meets
            self._failed(error)
            return None
        finally:
            self._last = self._monotonic()
            self._not_before = max(self._not_before, self._last + _SHARE * (self._last - now))
        self._tell(pruned)
        if pruned.generation:
            self._seen = pruned.generation.number
        if pruned.error:
            self._failed(pruned.error)
        else:
            self._told = ""
        return pruned.generation

    def at_once(self) -> Generation | None:
        """Prune now, to the end; raises what went wrong. The generation that was published, if any."""
        pruned = self._pruner.prune(self._clock())
        self._tell(pruned)
        if pruned.error:
            raise pruned.error
        return pruned.generation

    def by_hand(self, pruned: Pruned) -> None:
        """Somebody asked for a prune, beside the loop: it counts like any other. Any thread may say so."""
        self._count(pruned)

    def _tell(self, pruned: Pruned) -> None:
        self._hear(pruned)
        self._count(pruned)
        self._say(pruned)

    def _count(self, pruned: Pruned) -> None:
        self._metrics.pruned_packages.labels(self._name).inc(len(pruned.retired))
        self._metrics.pruned_bytes.labels(self._name).inc(pruned.size)
        if pruned.stored is not None:
            self._metrics.store_bytes.labels(self._name).set(pruned.stored)

    def _say(self, pruned: Pruned) -> None:
        for note in pruned.plan.notes:
            if note not in self._notes:
                self._log.warning("retention", repository=self._name, problem=note)
        self._notes = pruned.plan.notes or (self._notes if pruned.stored is None else ())
        if pruned.retired and pruned.generation:
            self._log.info(
                "builds left the metadata; their files go after grace",
                repository=self._name,
                generation=pruned.generation.number,
                why=summary(pruned.retired),
                builds=_names(pruned.retired),
            )
        if pruned.removed:
            self._log.info("pruned", repository=self._name, objects=len(pruned.removed), bytes=pruned.size)
        for text in pruned.left:
            self._log.info("left to the next prune", repository=self._name, what=text)

    def _failed(self, error: Exception) -> None:
        self._not_before = max(self._not_before, self._monotonic() + _AFTER_FAILURE)
        self._seen = -1
        self._metrics.error(self._name, error)
        expected = isinstance(error, RepodError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        if text != self._told:
            self._log.error("prune failed, tried again", repository=self._name, problem=text, exc_info=not expected)
        self._told = text


def _names(going: Sequence[Verdict]) -> list[str]:
    names = [str(verdict.build.nevra) for verdict in going]
    more = len(names) - _NAMED
    return names if more <= 0 else [*names[:_NAMED], f"and {more} more"]
