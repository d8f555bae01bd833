"""What waits for one hook: one look at its outbox, and the next event of it, in the order in which things happened."""

from collections import deque
from dataclasses import dataclass, replace

from repod import tidings
from repod.doors import Expect, Store, Stored, Version
from repod.errors import Conflict, Corrupt, NotFound
from repod.generation import Generation
from repod.happenings import Event, Kind
from repod.history import History
from repod.hooking import Hook
from repod.outbox import Cursor, Outbox, pointed, written_after
from repod.removal import records


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The next event: of generations, ``first`` to ``generation``, or in a letter, written after ``first``."""

    event: Event
    first: int
    generation: int | None = None
    letter: Stored | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told of what. ``began``: a hook that was never seen is told what came since then, in whole seconds."""

    hook: Hook
    repository: str
    url: str
    store: Store
    began: int

    @property
    def generations(self) -> bool:
        """Whether generations are told."""
        return self.hook.wants(Kind.PUBLISHED) or self.hook.wants(Kind.MISSED)


class Backlog:
    """What waits, as it is when this is made; what comes later is for the next look."""

    def __init__(self, told: Told, *, writes: bool = True) -> None:
        """A hook that was never seen is noted; without ``writes`` nothing is written, by no method."""
        self._writes = writes
        self._told = told
        self._box = Outbox(told.hook.name, told.store)
        self._history = History(told.store)
        self._pointed = pointed(told.store)
        self._letters = deque(self._box.letters())
        self._generation: Item | None = None
        self._letter: Item | None = None
        self.cursor, self._version = self._begun()
        self.unreadable: list[str] = []

    def next(self) -> Item | None:
        """The oldest event that waits; None where none does."""
        self._letter = self._letter or self._next_letter()
        self._generation = self._generation or self._next_generation()
        if self._letter is None or self._generation is None:
            return self._letter or self._generation
        return self._letter if self._letter.first < self._generation.first else self._generation

    @property
    def pending(self) -> int:
        """How many events wait, at the most: a gap of generations is told as one."""
        ahead = self._pointed - self.cursor.generation if self.cursor.generation is not None else 0
        return max(0, ahead) + len(self._letters) + (self._letter is not None)

    @property
    def oldest(self) -> float:
        """When the event happened that ``next`` gave last; 0 where none waits."""
        waiting = [item.event.time for item in (self._generation, self._letter) if item]
        return min(waiting, default=0.0)

    def move(self, cursor: Cursor) -> None:
        """Write how far the hook is; ``Conflict`` where somebody else did meanwhile."""
        if cursor != self.cursor:
            self._version = self._moved(cursor, self._version)
            self.cursor = cursor

    def done(self, item: Item, cursor: Cursor) -> None:
        """The event is told, or dropped, and ``cursor`` says so; it is let go where nothing more waits."""
        if item.letter is None:
            self._generation = None
            cursor = replace(cursor, generation=item.generation)
        else:
            self._letter = None
            self._box.remove(item.letter)
        ahead = cursor.generation is not None and cursor.generation < self._pointed
        self.move(cursor if ahead or self._letters or self._letter else cursor.free())

    def _moved(self, cursor: Cursor, version: Version | Expect) -> Version | Expect:
        return self._box.move(cursor, version) if self._writes else version

    def _next_letter(self) -> Item | None:
        while self._letters:
            stored = self._letters.popleft()
            try:
                return Item(event=self._box.letter(stored), first=written_after(stored), letter=stored)
            except NotFound:
                continue
            except Corrupt as error:
                self.unreadable.append(str(error))
                if self._writes:
                    self._box.remove(stored)
        return None

    def _next_generation(self) -> Item | None:
        told, done = self._told, self.cursor.generation
        while done is not None and done < self._pointed:
            number, missed = self._after(done)
            generation = self._history.record(number)
            if missed and told.hook.wants(Kind.MISSED):
                event = tidings.missed(told.repository, done + 1, number - 1, generation.time, told.url)
                return Item(event=event, first=done + 1, generation=number - 1)
            if told.hook.wants(Kind.PUBLISHED):
                return Item(event=self._event_of(generation), first=number, generation=number)
            done = number
        if done != self.cursor.generation:
            self.move(replace(self.cursor, generation=done))
        return None

    def _after(self, done: int) -> tuple[int, bool]:
        """The first generation after ``done`` that has a record, and whether others before it have none any more."""
        try:
            return self._history.record(done + 1).number, False
        except NotFound:
            listed = self._told.store.list(".repod/generations/")
            number = min((n for n in records(listed) if n > done), default=self._pointed)
            return number, number > done + 1

    def _event_of(self, generation: Generation) -> Event:
        documents = self._history.changed_documents(generation)
        return tidings.published(self._told.repository, generation, documents or (), self._told.url)

    def _begun(self) -> tuple[Cursor, Version | Expect]:
        cursor, version = self._box.cursor()
        if cursor is None:
            cursor = Cursor(generation=self._first(), target=self._told.hook.mark)
            try:
                return cursor, self._moved(cursor, version)
            except Conflict:
                cursor, version = self._box.cursor()
                if cursor is None:
                    raise
        lost = cursor.generation is not None and cursor.generation > self._pointed
        if lost or (cursor.generation is None) == self._told.generations:
            # It was told of a content that was taken away since, or other things are told now than then.
            cursor = replace(cursor, generation=self._first())
            version = self._moved(cursor, version)
        return cursor, version

    def _first(self) -> int | None:
        """Where a hook begins: before the first generation that came since this process began."""
        if not self._told.generations:
            return None
        number = self._pointed
        try:
            while number and self._history.record(number).time >= self._told.began:
                number -= 1
        except NotFound:
            pass
        return number
