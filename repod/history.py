"""A repository's generations as the store holds them: read only."""

from collections.abc import Iterator

from repod.doors import Store
from repod.errors import NotFound
from repod.generation import HEAD, Generation, Head, record_path


class History:
    """Reads the pointer and the records behind it."""

    def __init__(self, store: Store) -> None:
        """``store``: the repository's."""
        self._store = store

    def current(self) -> Generation | None:
        """The pointer's generation; None where nothing was ever published."""
        pointed = self.pointed()
        return None if pointed is None else self.record(pointed)

    def pointed(self) -> int | None:
        """The number that the pointer says; None where nothing was ever published."""
        try:
            return Head.from_json(self._store.read(HEAD).data).generation
        except NotFound:
            return None

    def record(self, number: int) -> Generation:
        """Generation ``number``; ``NotFound`` where there is none, or it is pruned."""
        return Generation.from_json(self._store.read(record_path(number)).data)

    def changed_documents(self, generation: Generation) -> list[str] | None:
        """Types of the carried documents that ``generation`` brought, changed or took away.

        None where its parent is pruned, so that it is not known.
        """
        try:
            before = self.record(generation.parent).carried if generation.parent else {}
        except NotFound:
            return None
        after = generation.carried
        return sorted(kind for kind in {*before, *after} if before.get(kind) != after.get(kind))

    def back(self, before: int = 0) -> Iterator[Generation]:
        """The generations, newest first, as far back as the records reach; only those older than ``before``, if any."""
        generation = self.current()
        if generation is not None and 0 < before <= generation.number:
            generation = self._older(before - 1)
        while generation is not None:
            yield generation
            generation = self._older(generation.parent)

    def _older(self, number: int) -> Generation | None:
        try:
            return self.record(number) if number > 0 else None
        except NotFound:
            return None
