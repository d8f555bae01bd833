"""Tells of generations as they become current, whoever published them, by their records."""

from collections.abc import Callable, Sequence

from repod.doors import Clock, Store
from repod.errors import NotFound
from repod.generation import Generation
from repod.happenings import Hear
from repod.history import History
from repod.tidings import published

_FURTHEST = 200  # generations that are told of at once; who slept longer reads the history


class Telling:
    """A ``Step`` that tells of each generation since it was made, oldest first."""

    name = "events"

    def __init__(
        self,
        *,
        repository: str,
        store: Store,
        hear: Hear,
        clock: Clock,
        url: str = "",
        also: Callable[[Generation], object] = lambda _: None,
    ) -> None:
        """``also`` is given each generation before it is told of; ``url`` is where hosts find them."""
        self._repository = repository
        self._history = History(store)
        self._hear = hear
        self._also = also
        self._url = url
        self._since = int(clock())
        self._told: int | None = None

    def follow(self, current: Generation) -> None:
        """Tell of ``current``, and of those before it that were not told of."""
        for generation in self._news(current):
            documents = self._history.changed_documents(generation)
            self._also(generation)
            self._hear(published(self._repository, generation, documents or (), self._url))
            self._told = generation.number
        self._told = current.number

    def _news(self, current: Generation) -> Sequence[Generation]:
        """Oldest first."""
        found: list[Generation] = []
        generation: Generation | None = current
        while generation is not None and self._is_news(generation) and len(found) < _FURTHEST:
            found.append(generation)
            try:
                generation = self._history.record(generation.parent) if generation.parent else None
            except NotFound:
                break
        return found[::-1]

    def _is_news(self, generation: Generation) -> bool:
        if self._told is None:
            return generation.time >= self._since
        return generation.number > self._told
