"""The pointer: which generation of a repository is current; it moves on by one, by compare-and-swap."""

import contextlib
from dataclasses import dataclass

from repod.claims import Claims
from repod.doors import Expect, Pause, Store, Version
from repod.doubt import Doubts
from repod.errors import Conflict, Corrupt, NotFound
from repod.generation import HEAD, Generation, Head, record_path

_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The current generation of a repository, and the version of the pointer that says so."""

    generation: Generation | None
    version: Version | Expect

    @property
    def number(self) -> int:
        """The number of the generation; 0 where there is none."""
        return self.generation.number if self.generation else 0


class Pointer:
    """That of one repository."""

    def __init__(self, store: Store, claims: Claims, pause: Pause) -> None:
        """``claims``: what reads the records; ``pause`` as in ``Publisher``."""
        self._store = store
        self._claims = claims
        self._pause = pause

    def state(self) -> State:
        """What it says now; ``Corrupt`` where the record of that generation is gone."""
        try:
            blob = self._store.read(HEAD)
        except NotFound:
            return State(generation=None, version=Expect.ABSENT)
        number = Head.from_json(blob.data).generation
        if number < self._claims.newest:
            self._claims.forget()  # unless it is just being moved on, the store was brought back to what it was
        try:
            return State(generation=self._claims.record(number), version=blob.version)
        except NotFound as error:
            msg = f"{HEAD} says generation {number}, but {record_path(number)} is missing; restore it from a copy"
            raise Corrupt(msg) from error

    def generation(self) -> Generation | None:
        """The current generation."""
        return self.state().generation

    def version(self) -> Version | Expect:
        """What to expect of it, whatever it says."""
        with contextlib.suppress(NotFound):
            return self._store.read(HEAD).version
        return Expect.ABSENT

    def move(self, number: int, version: Version | Expect) -> None:
        """Move it on to ``number``; losing to somebody who did just that is success."""
        doubts = Doubts()
        for attempt in range(_ATTEMPTS):
            with doubts:
                self._store.write(HEAD, Head(generation=number).to_json(), version)
                return
            state = self.state()
            if state.number >= number:
                return
            if state.number < number - 1:
                break
            version = state.version
            self._pause(attempt)
        msg = f"the pointer {HEAD} could not be moved to generation {number}; its record is there: try again"
        raise Conflict(msg)
