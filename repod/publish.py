"""A change becomes the next generation, or nothing happens.

The order, in which every single step leaves a valid repository:

1. the packages are stored already, immutable;
2. the documents are stored under names made from their checksums;
3. the record ``.repod/generations/N.json`` is created. Only one can be: it claims the number,
   and it holds all that is left to do;
4. the pointer ``.repod/head.json`` moves from N-1 to N by compare-and-swap;
5. the live ``repomd.xml`` and its signature follow the pointer.

Whoever finds a record without the pointer (the writer was stopped between 3 and 4) moves
the pointer for it; whoever finds a pointer ahead of the live view carries on with 5. So
nobody waits for a dead writer, no number is used twice, and none is left out. A writer that
slept and wakes finds its compare-and-swap refused and can move nothing back.
"""

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from repod.doors import Clock, Draft, Expect, Piece, Repodata, Signer, Store, Version
from repod.errors import Conflict, Corrupt, Misconfigured, NotFound, OutcomeUnknown, Unavailable
from repod.generation import HEAD, Generation, Head, record_path
from repod.package import Entry, Nevra, StorePath

REPOMD = StorePath("repodata/repomd.xml")
SIGNATURE = StorePath("repodata/repomd.xml.asc")
_ATTEMPTS = 100

Armor = Callable[[bytes], bytes]
"""Turns a binary detached signature into its armored form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The current generation of a repository, and the version of the pointer that says so."""

    generation: Generation | None
    version: Version | Expect


class Publisher:
    """Publishes one repository. Any number of them, in any processes, may share a store."""

    def __init__(
        self,
        *,
        store: Store,
        repodata: Repodata,
        signer: Signer,
        armor: Armor,
        clock: Clock,
        pause: Callable[[int], None],
        warn: Callable[[str], object] = lambda _text: None,
    ) -> None:
        """``pause`` sleeps a little, longer for a higher number of the attempt, with jitter.

        ``warn`` is told of what was found damaged and made anew.
        """
        self._store = store
        self._repodata = repodata
        self._signer = signer
        self._armor = armor
        self._clock = clock
        self._pause = pause
        self._warn = warn

    def current(self) -> State:
        """What the pointer says, after finishing what a stopped writer had begun.

        Raises ``Unavailable`` where the pointer cannot be read: that never means "empty".
        """
        while True:
            state = self._state()
            number = state.generation.number if state.generation else 0
            try:
                self._store.read(record_path(number + 1))
            except NotFound:
                return state
            self._move(number + 1, state.version)

    def refresh(self) -> None:
        """Stand on what the pointer says now, so that what is decided next is decided by it."""
        self._repodata.load(self.current().generation)

    def open(self, actor: str) -> Generation:
        """The current generation, live; a store without any trace of one gets an empty first one."""
        state = self.current()
        generation = state.generation
        if generation is None:
            self._refuse_foreign()
            generation = self.publish([], [], actor=actor, why="repository created")
        self.sync_live()
        self._repodata.load(generation)
        return generation

    def publish(
        self, entries: Sequence[Entry], removed: Sequence[Nevra], *, actor: str, why: str, replace: bool = False
    ) -> Generation:
        """The generation that holds the change, live; the current one where nothing would change.

        ``Conflict`` where other writers were faster a hundred times, or where one of them
        published another build under a NEVRA of ``entries`` and ``replace`` does not allow that.
        """
        for attempt in range(_ATTEMPTS):
            state = self.current()
            self._repodata.load(state.generation)
            fresh, gone = self._effective(entries, removed, replace=replace)
            if state.generation and not fresh and not gone:
                self.sync_live()
                return state.generation
            generation = self._attempt(state, fresh, gone, actor, why)
            if generation is not None:
                self.sync_live()
                return generation
            self._pause(attempt)
        msg = f"other writers changed the repository {_ATTEMPTS} times meanwhile; try again later"
        raise Conflict(msg)

    def sync_live(self) -> None:
        """Make the live view that of the pointer's generation, without ever moving it back.

        ``Unavailable`` where a hundred tries were not enough.
        """
        for attempt in range(_ATTEMPTS):
            try:
                seen = [self._version(path) for path in (REPOMD, SIGNATURE)]
                generation = self._state().generation
                if generation is None:
                    return
                wanted = (generation.repomd.encode(), generation.signature.encode())
                # The version read before the pointer guards the write: whoever moved the
                # pointer on since has changed the live view, or will.
                for path, data, (present, version) in zip((REPOMD, SIGNATURE), wanted, seen, strict=True):
                    if present != data:
                        self._store.write(path, data, version)
            except (Conflict, OutcomeUnknown):
                self._pause(attempt)
                continue
            if self._state().generation == generation:
                return
        msg = f"{REPOMD} could not be brought to the pointer's generation in {_ATTEMPTS} tries; it is tried again"
        raise Unavailable(msg)

    def _version(self, path: StorePath) -> tuple[bytes | None, Version | Expect]:
        try:
            blob = self._store.read(path)
        except NotFound:
            return None, Expect.ABSENT
        return blob.data, blob.version

    def _state(self) -> State:
        try:
            blob = self._store.read(HEAD)
        except NotFound:
            return State(generation=None, version=Expect.ABSENT)
        number = Head.from_json(blob.data).generation
        try:
            record = self._store.read(record_path(number)).data
        except NotFound as error:
            msg = f"{HEAD} says generation {number}, but {record_path(number)} is missing; restore it from a copy"
            raise Corrupt(msg) from error
        return State(generation=Generation.from_json(record), version=blob.version)

    def _refuse_foreign(self) -> None:
        """A store with a repository in it but no pointer is not a new one.

        What a first publish leaves that was stopped, or that another writer is at, is no repository yet.
        """
        for prefix in (".repod/generations/", REPOMD):
            for found in self._store.list(prefix):
                # The pointer comes before any other such file, so a look at it settles whose they are.
                if found.path != record_path(1) and self._state().generation is None:
                    msg = (
                        f"the store holds {found.path} but no {HEAD}: it is another tool's repository, "
                        f"or its pointer was lost; give an empty store, or restore {HEAD}"
                    )
                    raise Misconfigured(msg)

    def _effective(
        self, entries: Sequence[Entry], removed: Sequence[Nevra], *, replace: bool
    ) -> tuple[list[Entry], list[Nevra]]:
        """What of the change is not so already."""
        listed = self._repodata.find([*(entry.package.nevra for entry in entries), *removed])
        fresh = [entry for entry in entries if listed.get(entry.package.nevra) != entry.package]
        taken = [entry.package for entry in fresh if entry.package.nevra in listed]
        if taken and not replace:
            nevra = taken[0].nevra
            msg = (
                f"{nevra} was published by somebody else meanwhile: published sha256 {listed[nevra].pkgid}, "
                f"here sha256 {taken[0].pkgid}; judge it again"
            )
            raise Conflict(msg)
        return fresh, [nevra for nevra in removed if nevra in listed]

    def _attempt(
        self, state: State, entries: Sequence[Entry], removed: Sequence[Nevra], actor: str, why: str
    ) -> Generation | None:
        """One try on top of ``state``; None where another writer took the number first."""
        parent = state.generation
        number = parent.number + 1 if parent else 1
        # Clients refuse metadata older than what they have: time never goes back.
        time = max(int(self._clock()), parent.time if parent else 0)
        draft, signature = self._stored_draft(parent, entries, removed, number, time)
        generation = Generation(
            number=number,
            parent=parent.number if parent else 0,
            time=time,
            actor=actor,
            why=why,
            packages=draft.packages,
            added=draft.added,
            removed=draft.removed,
            documents=tuple(piece.document for piece in draft.pieces),
            repomd=draft.repomd.decode(),
            signature=self._armor(signature).decode(),
        )
        if not self._claim(generation):
            return None
        self._move(number, state.version)
        self._repodata.adopt(draft, generation)
        return generation

    def _stored_draft(
        self,
        parent: Generation | None,
        entries: Sequence[Entry],
        removed: Sequence[Nevra],
        number: int,
        time: int,
    ) -> tuple[Draft, bytes]:
        """A draft whose documents are stored, and the signature of its index."""
        try:
            return self._store_documents(self._repodata.draft(entries, removed, number, time))
        except NotFound as error:
            self._warn(f"a document of the current generation is gone: {error}; it is made anew from the cache")
            return self._store_documents(self._repodata.draft(entries, removed, number, time, whole=True))
        except Corrupt as error:
            # The cache is not what the store holds. Once from the store's own documents;
            # if they are the ones that are wrong, the second error says so.
            self._warn(f"cache and store do not agree: {error}; the cache is made anew from the store")
            self._repodata.forget()
            self._repodata.load(parent)
            return self._store_documents(self._repodata.draft(entries, removed, number, time))

    def _store_documents(self, draft: Draft) -> tuple[Draft, bytes]:
        def add(piece: Piece) -> None:
            self._store.add(piece.document.href, piece.parts, piece.document.checksum)

        # Side by side: the one waits for the disk, the other for the signer.
        with ThreadPoolExecutor(len(draft.pieces) + 1) as threads:
            signing = threads.submit(self._signer.sign, draft.repomd)
            list(threads.map(add, draft.pieces))
            return draft, signing.result()

    def _claim(self, generation: Generation) -> bool:
        """Create the record; False where the number is another writer's."""
        path, data = record_path(generation.number), generation.to_json()
        try:
            self._store.write(path, data, Expect.ABSENT)
        except Conflict:
            return self._store.read(path).data == data
        except OutcomeUnknown:
            with contextlib.suppress(NotFound):
                return self._store.read(path).data == data
            return False
        return True

    def _move(self, number: int, version: Version | Expect) -> None:
        """Move the pointer on to ``number``; losing to somebody who did just that is success."""
        for attempt in range(_ATTEMPTS):
            try:
                self._store.write(HEAD, Head(generation=number).to_json(), version)
            except (Conflict, OutcomeUnknown):
                state = self._state()
                found = state.generation.number if state.generation else 0
                if found >= number:
                    return
                if found < number - 1:
                    break
                version = state.version
                self._pause(attempt)
            else:
                return
        msg = f"the pointer {HEAD} could not be moved to generation {number}; its record is there: try again"
        raise Conflict(msg)
