"""A change becomes the next generation, or nothing happens.

The order, in which every single step leaves a valid repository:

1. the packages are stored already, immutable;
2. the documents of both views are stored under names made from their checksums;
3. the record ``.repod/generations/N.json`` is created. Only one can be: it claims the number,
   and it holds all that is left to do;
4. the frozen view ``generations/N/`` gets its index and signature from the record;
5. the pointer ``.repod/head.json`` moves from N-1 to N by compare-and-swap;
6. what clients read follows the pointer: ``metalink.xml`` and ``mirrorlist``, then the live
   ``repomd.xml`` and its signature, then the statement that says so.

Whoever finds a record without the pointer (the writer was stopped between 3 and 5) carries
on with 4; whoever finds a pointer ahead of what clients read, with 6. So
nobody waits for a dead writer, no number is used twice, and none is left out. A writer that
slept and wakes finds its compare-and-swap refused and can move nothing back. Nobody begins a
generation before clients see its parent, so the record after the next tells prune since when
they do not see a generation any more.
"""

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from repod.beside import Threads, beside, finished, threads
from repod.claims import Claimed, Claims, Patience
from repod.doors import Change, Clock, Draft, Pause, Repodata, Signer, Store
from repod.drafting import Drafting, Signed
from repod.errors import Conflict, Corrupt, Misconfigured, NotFound
from repod.generation import HEAD, Generation, record_path
from repod.package import Package
from repod.pointer import Pointer, State
from repod.signed import Kept
from repod.stating import Statements
from repod.views import REPOMD, Views

_ATTEMPTS = 100
# Most of these wait: for the disk, for the signer.
_SIDE_BY_SIDE = 8

Armor = Callable[[bytes], bytes]
"""Turns a binary detached signature into its armored form."""

Restore = Callable[[Generation], Generation]
"""Makes the documents of a generation anew from its packages; the generation that is current then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anew:
    """A generation whose documents are all made anew, without any stored one.

    ``number`` is its own where it has no parent; ``gone`` is what it does not list any more.
    """

    number: int = 1
    gone: Sequence[Package] = ()


class Publisher:
    """Publishes one repository. Any number of them, in any processes, may share a store."""

    def __init__(
        self,
        *,
        store: Store,
        url: str,
        repodata: Repodata,
        signer: Signer,
        armor: Armor,
        clock: Clock,
        pause: Pause,
        warn: Callable[[str], object] = lambda _text: None,
        raced: Callable[[], object] = lambda: None,
        restore: Restore | None = None,
        statements: Statements | None = None,
        threads: Threads = threads,
    ) -> None:
        """``url``: where hosts find the store, with a slash at its end; ``statements`` as in ``Views``.

        ``restore`` makes documents that are lost or damaged anew from the packages, and returns the
        generation that is current then. ``warn`` is told of what was found damaged and made anew,
        ``raced`` of each publish that is begun anew since another writer was faster.
        """
        self._store = store
        self._claims = Claims(store)
        # Kept from one publish to the next, since a store may hold a connection for each thread.
        self._threads = threads(_SIDE_BY_SIDE, "publish")
        self._pointer = Pointer(store, self._claims, pause)
        self._views = Views(store, url, pause, self._threads, statements=statements)
        self._statements = statements
        self._stated: Future[bytes] | None = None
        self._published = self._proven = 0
        # A generation that clients were found to see, or a newer one, and when that was.
        self._shown = (0, 0.0)
        self._repodata = repodata
        self._drafting = Drafting(store, repodata, signer, self._claims, self._threads)
        self._armor = armor
        self._clock = clock
        self._patience = Patience(pause, raced)
        self._warn = warn
        self._restore = restore

    def current(self) -> State:
        """What the pointer says, after finishing what a stopped writer had begun.

        Raises ``Unavailable`` where the pointer cannot be read: that never means "empty".
        """
        while True:
            # Nearly always it is the newest that is known here: so what comes after that is asked for beside it.
            likely = self._claims.newest + 1
            state: State
            state, ahead = beside(self._threads, self._pointer.state, partial(self._claims.found, likely))
            record = ahead if likely == state.number + 1 else self._claims.found(state.number + 1)
            if record is None:
                return state
            self._views.freeze(record)
            self._pointer.move(state.number + 1, state.version)

    def refresh(self) -> Generation | None:
        """Stand on what the pointer says now, and clients too: what is decided next, even to do nothing, is by it."""
        while True:
            generation = self.current().generation
            if self._load(generation):
                self._since(generation)
                return generation

    def open(self, actor: str) -> Generation:
        """The current generation, live; a store without any trace of one gets an empty first one."""
        state = self.current()
        generation = state.generation
        if generation is None:
            self._refuse_foreign()
            generation = self.publish(Change(), actor=actor, why="repository created")
        self.sync_live()
        return generation if self._load(generation) else self.open(actor)

    def republish(self, on: Generation, gone: Sequence[Package], *, actor: str, why: str) -> Generation:
        """The generation after ``on`` with all that ``repodata`` stands on, its documents made anew; live.

        ``gone``: what ``on`` lists and this one does not. ``Conflict`` where another writer was faster.
        """
        state = self.current()
        same = state.generation is not None and state.generation.number == on.number
        generation = self._attempt(state, Change(), actor, why, anew=Anew(gone=gone)) if same else None
        return self._live_or_conflict(generation, state.generation)

    def publish(
        self,
        change: Change,
        *,
        actor: str,
        why: str,
        replace: bool = False,
        on: int | None = None,
        again: Callable[[], tuple[Change, str]] | None = None,
        foreign: bool = False,
    ) -> Generation:
        """The generation that holds the change, live; the current one where nothing would change.

        ``on``: the number of the generation that the change was planned on; where another is current,
        it may be wrong now, and that is a ``Conflict``: plan again. ``Conflict`` also where other writers
        were faster a hundred times, or where one of them published another build under a NEVRA of the
        entries and ``replace`` does not allow that. ``Unfit`` where an edit cannot be made on what is there.
        ``Corrupt`` where the current one is not signed by a key of hosts, but for ``foreign``, by who replaces it.
        ``again`` is asked after each lost race what is to be tried next, and why: what came meanwhile joins it.
        """
        self._claims.begin()
        for _attempt in range(_ATTEMPTS):
            self._patience.begin()
            state = self.current()
            landed = self._claims.landed(state.number)
            if landed:  # by a write whose answer was lost
                self.sync_live()
                return landed
            _refuse_other(state.generation, on)
            if not foreign:
                self._refuse_foreign_record(state.generation)
            if not self._load(state.generation):
                continue
            left = self._effective(change, replace=replace)
            if not left and state.generation:
                self.sync_live()
                return state.generation
            with contextlib.suppress(Claimed):
                generation = self._attempt(state, left, actor, why)
                if generation:
                    self._patience.won()
                    self._show(generation, state.generation)
                    return generation
            self._patience.lost()
            change, why = again() if again else (change, why)
        msg = f"other writers changed the repository {_ATTEMPTS} times meanwhile; try again later"
        raise Conflict(msg)

    def finish(self, number: int) -> None:
        """Let generation ``number``, which has a record, be current: the pointer, or the record before, is lost."""
        generation = self._claims.record(number)
        self._views.freeze(generation)
        self._pointer.move(number, self._pointer.version())
        self.sync_live()

    def settle(self, generation: Generation) -> None:
        """Bring both views to what the records say: that of ``generation``, and the live one."""
        self._views.freeze(generation)
        self.sync_live()

    def begin_anew(self, number: int, *, actor: str, why: str) -> Generation:
        """Generation ``number`` of all that ``repodata`` stands on, without a parent, live.

        For a repository whose pointer or whose current record is lost: ``number`` must be higher than
        any that was used. ``Conflict`` where somebody else writes.
        """
        state = State(generation=None, version=self._pointer.version())
        return self._live_or_conflict(self._attempt(state, Change(), actor, why, anew=Anew(number=number)), None)

    def _live_or_conflict(self, generation: Generation | None, parent: Generation | None) -> Generation:
        if generation is None:
            msg = "another writer published meanwhile; look again, and try again if need be: repod verify REPO"
            raise Conflict(msg)
        self._show(generation, parent)
        return generation

    def _show(self, generation: Generation, parent: Generation | None) -> None:
        """Let clients see ``generation``, to which the pointer was just moved on from ``parent``."""
        stated, self._stated = self._stated, None
        try:
            statement = stated.result if stated else lambda: None
            self._saw(self._views.advance(generation, parent, self._pointer.generation, statement))
        finally:
            finished([stated] if stated else [])  # where others were faster nobody asked for it

    def sync_live(self) -> None:
        """Make what clients read that of the pointer's generation, without ever moving it back."""
        self._saw(self._views.follow(self._pointer.generation))

    def _saw(self, generation: Generation | None) -> None:
        if generation:
            self._shown = (generation.number, max(self._clock(), generation.time))

    def renew(self) -> Kept | None:
        """Sign the statement of the current generation anew where that is due; None where there is none."""
        return self._views.renew(self._pointer.generation)

    def _since(self, current: Generation | None) -> float:
        """Since when clients see ``current``; they are made to where whoever let the pointer move on may have died."""
        if current and self._shown[0] != current.number:
            self.sync_live()
        return self._shown[1] if current else 0.0

    def _refuse_foreign(self) -> None:
        """A store with a repository in it but no pointer is not a new one.

        What a first publish leaves that was stopped, or that another writer is at, is no repository yet.
        """
        for prefix in (".repod/generations/", REPOMD):
            for found in self._store.list(prefix):
                # The pointer comes before any other such file, so a look at it settles whose they are.
                if found.path != record_path(1) and self._pointer.generation() is None:
                    msg = (
                        f"the store holds {found.path} but no {HEAD}: it is another tool's repository, "
                        f"or its pointer was lost; take it over with repod adopt, or restore {HEAD}"
                    )
                    raise Misconfigured(msg)

    def _refuse_foreign_record(self, generation: Generation | None) -> None:
        if self._statements and generation and generation.number not in {self._published, self._proven}:
            self._statements.refuse_foreign(generation)
            self._proven = generation.number

    def _effective(self, change: Change, *, replace: bool) -> Change:
        """What of the change is not so already."""
        listed = self._repodata.find([*(entry.package.nevra for entry in change.entries), *change.removed])
        fresh = [entry for entry in change.entries if listed.get(entry.package.nevra) != entry.package]
        taken = [entry.package for entry in fresh if entry.package.nevra in listed]
        if taken and not replace:
            nevra = taken[0].nevra
            msg = (
                f"{nevra} was published by somebody else meanwhile: published sha256 {listed[nevra].pkgid}, "
                f"here sha256 {taken[0].pkgid}; judge it again"
            )
            raise Conflict(msg)
        gone = [nevra for nevra in change.removed if nevra in listed]
        return Change(entries=fresh, removed=gone, edits=change.edits)

    def _load(self, generation: Generation | None) -> bool:
        """Stand on ``generation``; False where its documents were lost and another is current instead."""
        try:
            self._repodata.load(generation)
        except (NotFound, Corrupt) as error:
            if generation is None or self._restore is None:
                raise
            self._refuse_foreign_record(generation)
            self._warn(f"its documents are made anew from the packages, since one is lost: {error}")
            if self._restore(generation).number != generation.number:
                return False
            self._repodata.load(generation)
        return True

    def _attempt(
        self, state: State, change: Change, actor: str, why: str, *, anew: Anew | None = None
    ) -> Generation | None:
        """One try on top of ``state``; None where it is to be made again, on another."""
        parent = state.generation
        shown = self._since(parent)  # what clients do not see yet is not built upon: prune relies on it
        number = parent.number + 1 if parent else (anew or Anew()).number
        # Clients refuse metadata older than what they have: time never goes back. What is made anew is newer.
        time = max(int(self._clock()), parent.time + bool(anew) if parent else 0)
        self._stated = None
        stored = self._stored_draft(parent, change, number, time, whole=anew is not None)
        if stored is None:
            return None
        draft, signature, frozen_signature = stored
        if parent and draft.documents == parent.documents:
            return parent  # its edits change nothing
        generation = Generation(
            number=number,
            parent=parent.number if parent else 0,
            time=time,
            actor=actor,
            why=why,
            packages=draft.packages,
            added=tuple(self._repodata.packages()) if anew and not parent else draft.added,
            removed=(*draft.removed, *anew.gone) if anew else draft.removed,
            documents=draft.documents,
            frozen=draft.frozen,
            repomd=draft.repomd.decode(),
            signature=self._armor(signature).decode(),
            frozen_repomd=draft.frozen_repomd.decode(),
            frozen_signature=self._armor(frozen_signature).decode(),
            origins=change.origins(draft.added),
            shown=shown,
            # What is made anew is not always of what the parent's documents were made of.
            patch=None if anew else draft.patch,
            parent_sha256=self._claims.digest(parent.number) if parent else None,
        )
        return self._committed(draft, generation, state)

    def _committed(self, draft: Draft, generation: Generation, state: State) -> Generation | None:
        """The generation, claimed and pointed at; None where the number is another writer's."""
        if not self._claims.claim(generation):
            return None
        if self._statements and state.generation:  # signed while the rest is written
            record = self._claims.digest(generation.number)
            self._stated = self._threads.submit(self._statements.make, generation, record)
        self._views.freeze(generation)
        self._pointer.move(generation.number, state.version)
        self._published = generation.number
        self._repodata.adopt(draft, generation)
        return generation

    def _stored_draft(
        self, parent: Generation | None, change: Change, number: int, time: int, *, whole: bool
    ) -> Signed | None:
        """A draft whose documents are stored, and the signatures of its two indexes; None: not on ``parent``."""
        # Nothing is to be uploaded in vain where others publish too.
        ask = self._published != number - 1
        try:
            return self._drafting.store(change, number, time, whole=whole, ask=ask)
        except NotFound as error:
            self._warn(f"a document of the current generation is gone: {error}; it is made anew from the cache")
            return self._drafting.store(change, number, time, whole=True, ask=ask)
        except Corrupt as error:
            # The cache is not what the store holds. Once from the store's own documents;
            # if they are the ones that are wrong, the second error says so.
            self._warn(f"cache and store do not agree: {error}; the cache is made anew from the store")
            self._repodata.forget()
            if not self._load(parent):
                return None
            return self._drafting.store(change, number, time, ask=ask)


def _refuse_other(generation: Generation | None, on: int | None) -> None:
    number = generation.number if generation else 0
    if on not in {None, number}:
        msg = f"generation {number} is current, and this was planned on {on}: look again and try again"
        raise Conflict(msg)
