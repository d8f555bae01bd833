"""Arrivals become stored, signed packages and edits of documents, or are refused with every reason.

Nothing here makes a package visible: that is ``publish``. An arrival stays in its inbox
until its generation is live, so that a stop at any step loses nothing; coming back to it,
the same build is found in the store and taken as it is.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar

from repod.acceptance import Rules, conflict, judge, too_large, unwanted_document
from repod.beside import Threads, threads
from repod.copies import private_copy
from repod.doors import Arrival, Documents, Edit, Inbox, Repodata, Rpms, Signer, Store, Unreadable
from repod.errors import Conflict, Corrupt, NotFound, RepodError, Unavailable
from repod.package import Entry, Facts, Fault, Nevra, Origin, Package, Sha256, StorePath, is_rpm
from repod.scratch import discard, scratch

Observe = Callable[[str, float, str], None]
"""Told the name of a stage, the seconds it took, and the SHA-256 of the arrival; empty where it is not known yet."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

ANOTHER_FIRST = "another came first"
"""Problem of an arrival that can be judged when the one before it is published."""

HELD = 64 << 20
"""Bytes of documents, unpacked, above which those that are left are for the next turn."""

# A file that looks damaged may be one that is still being written.
_MAYBE_UNFINISHED = {"not-rpm", "truncated", "digest", "reader", "unverifiable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one arrival.

    ``result``: ``accepted`` (stored, to be published as ``entry``; or a document, to be published
    by ``edit``), ``duplicate`` (this very build, or all that the document says, is published),
    ``rejected`` (see ``faults``), ``waiting`` (not now: it changed, or may still be written),
    ``failed`` (repod could not do it now: see ``problem``). ``module`` is what an accepted package says of itself.
    """

    arrival: Arrival
    result: str
    checksum: str = ""
    nevra: Nevra | None = None
    entry: Entry | None = None
    edit: Edit | None = None
    faults: Sequence[Fault] = ()
    problem: str = ""
    module: str = ""

    @property
    def settled(self) -> bool:
        """Whether the arrival needs no other try."""
        return self.result in {"accepted", "duplicate", "rejected"}

    @property
    def is_package(self) -> bool:
        """Whether the arrival is a package, and no document."""
        return is_rpm(self.arrival.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """An arrival with its private copy and what was read from it."""

    arrival: Arrival
    copy: Path
    checksum: Sha256
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one repository takes packages in.

    ``trusted`` are armored certificates that ``rules.signed_by`` names; ``settle`` is how
    many seconds a file that looks damaged must be unchanged before it is refused.
    """

    rules: Rules
    replace: bool
    trusted: bytes
    changelogs: int
    settle: float


class Intake:
    """Takes packages and documents in for one repository."""

    def __init__(
        self,
        *,
        store: Store,
        inbox: Inbox,
        rpms: Rpms,
        documents: Documents,
        signer: Signer,
        repodata: Repodata,
        policy: Policy,
        workspace: Path,
        parallel: int,
        observe: Observe,
        threads: Threads = threads,
    ) -> None:
        """``workspace``: a private folder for copies; ``parallel``: how many at a time."""
        self._store = store
        self._inbox = inbox
        self._rpms = rpms
        self._documents = documents
        self._signer = signer
        self._repodata = repodata
        self._policy = policy
        self._workspace = workspace
        self._observe = observe
        self._threads = threads(parallel, "intake")
        self._stopping = Event()

    @property
    def replaces(self) -> bool:
        """Whether another build may take the place of a published one."""
        return self._policy.replace

    def stop(self) -> None:
        """Begin nothing more: a ``take_in`` under way answers soon, without the arrivals that are left."""
        self._stopping.set()

    def close(self) -> None:
        """Wait for what is under way."""
        self._threads.shutdown(cancel_futures=True)

    def take_in(self, arrivals: Sequence[Arrival], pending: Collection[Nevra] = ()) -> list[Outcome]:
        """Take copies, read, judge, sign and store; the inbox is left as it is.

        ``pending``: what was accepted before and is not published yet. Documents are taken and read; the
        outcomes that have an ``edit`` stand in the order of arrival.
        """
        # A killed worker may leave a file of its own beside the copy: the whole folder goes at the end.
        with scratch(self._workspace) as work:
            packages = [arrival for arrival in arrivals if is_rpm(arrival.name)]
            documents = [arrival for arrival in arrivals if not is_rpm(arrival.name)]
            examined = self._map(partial(self._examine, work), packages)
            outcomes = [item for item in examined if isinstance(item, Outcome)]
            outcomes += self._read_documents(work, documents)
            judged = list(self._judge([item for item in examined if isinstance(item, _Taken)], pending))
            outcomes += [item for item in judged if isinstance(item, Outcome)]
            outcomes += self._map(self._seal, [item for item in judged if not isinstance(item, Outcome)])
        return outcomes

    def _map(self, step: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """``step`` for each item, several at a time; for none any more after ``stop``."""
        results = self._threads.map(lambda item: None if self._stopping.is_set() else step(item), items)
        return [result for result in results if result is not None]

    @contextlib.contextmanager
    def _stage(self, name: str, checksum: str = "") -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._observe(name, time.perf_counter() - start, checksum)

    def _examine(self, work: Path, arrival: Arrival) -> Outcome | _Taken:
        trusted = self._signer.public_key + b"\n" + self._policy.trusted
        read = self._read(work, arrival, lambda copy: self._rpms.examine(copy, trusted))
        if isinstance(read, Outcome):
            return read
        copy, checksum, facts = read
        return _Taken(arrival=arrival, copy=copy, checksum=checksum, facts=facts)

    def _read_documents(self, work: Path, arrivals: Iterable[Arrival]) -> Iterator[Outcome]:
        """One after the other: so they stay in order, and no more of them are held than fit."""
        held = 0
        for arrival in arrivals:
            if self._stopping.is_set():
                return
            if held > HELD:
                yield Outcome(arrival=arrival, result="waiting", problem=ANOTHER_FIRST)
                continue
            outcome = self._read_document(work, arrival)
            held += outcome.edit.size if outcome.edit else 0
            yield outcome

    def _read_document(self, work: Path, arrival: Arrival) -> Outcome:
        fault = arrival.fault or unwanted_document(self._policy.rules)
        if fault:
            return Outcome(arrival=arrival, result="rejected", faults=[fault])
        read = self._read(work, arrival, partial(self._documents.read, arrival.name))
        if isinstance(read, Outcome):
            return read
        copy, checksum, edit = read
        discard(copy)
        return Outcome(arrival=arrival, result="accepted", checksum=checksum, edit=edit)

    def _read(
        self, work: Path, arrival: Arrival, read: Callable[[Path], _Result]
    ) -> Outcome | tuple[Path, Sha256, _Result]:
        """A private copy, its checksum, and what ``read`` makes of it; or why there is none of it."""
        fault = arrival.fault or too_large(arrival.size, self._policy.rules)
        if fault:
            return Outcome(arrival=arrival, result="rejected", faults=[fault])
        copy, checksum = work / f"{secrets.token_hex(16)}.rpm", Sha256("")
        try:
            with self._stage("copy"):
                checksum = self._inbox.take(arrival, copy)
            with self._stage("read", checksum):
                return copy, checksum, read(copy)
        except (Conflict, NotFound):
            return Outcome(arrival=arrival, result="waiting", problem="it changed while it was read")
        except Unreadable as error:
            discard(copy)
            return self._refused(arrival, checksum, error.faults)
        except (RepodError, OSError) as error:
            discard(copy)
            return Outcome(arrival=arrival, result="failed", checksum=checksum, problem=str(error))

    def _refused(self, arrival: Arrival, checksum: str, faults: Sequence[Fault], nevra: Nevra | None = None) -> Outcome:
        young = not arrival.whole and arrival.age < self._policy.settle
        if young and any(fault.code in _MAYBE_UNFINISHED for fault in faults):
            return Outcome(arrival=arrival, result="waiting", checksum=checksum, problem=faults[0].text)
        return Outcome(arrival=arrival, result="rejected", checksum=checksum, nevra=nevra, faults=faults)

    def _judge(
        self, taken: Sequence[_Taken], pending: Collection[Nevra]
    ) -> Iterator[Outcome | tuple[_Taken, StorePath]]:
        """Decide on each; what is accepted comes with the path it is to be stored under."""
        sound: list[_Taken] = []
        for item in taken:
            faults = judge(item.facts, self._policy.rules)
            if faults:
                yield self._refused(item.arrival, item.checksum, faults, item.facts.nevra)
            else:
                sound.append(item)
        listed = self._repodata.find(item.facts.nevra for item in sound)
        accepted = set[Nevra]()
        for item in sound:
            nevra = item.facts.nevra
            if nevra in accepted or nevra in pending:
                # The one that came first is not published yet; then this one can be judged.
                yield _undone(item, "waiting", ANOTHER_FIRST)
            elif nevra in listed:
                verdict = self._against(item, listed[nevra])
                if not isinstance(verdict, Outcome):
                    accepted.add(nevra)
                yield verdict
            else:
                accepted.add(nevra)
                yield item, nevra.location

    def _against(self, item: _Taken, published: Package) -> Outcome | tuple[_Taken, StorePath]:
        """The verdict on an arrival whose NEVRA is taken."""
        nevra = item.facts.nevra
        try:
            same = self._is_published(item, published)
        except (RepodError, OSError) as error:
            return _undone(item, "failed", str(error))
        if same:
            return Outcome(arrival=item.arrival, result="duplicate", checksum=item.checksum, nevra=nevra)
        if self._policy.replace:
            return item, item.facts.apart
        return Outcome(
            arrival=item.arrival,
            result="rejected",
            checksum=item.checksum,
            nevra=nevra,
            faults=[conflict(item.facts, item.checksum, published)],
        )

    def _seal(self, judged: tuple[_Taken, StorePath]) -> Outcome:
        item, path = judged
        try:
            entry = self._stored(item, path)
        except Unreadable as error:
            if any(fault.code == "signing" for fault in error.faults):
                # Our own signature does not hold: not the package's fault, so it stays.
                return _undone(item, "failed", str(error))
            return self._refused(item.arrival, item.checksum, error.faults, item.facts.nevra)
        except (RepodError, OSError) as error:
            return _undone(item, "failed", str(error))
        return Outcome(
            arrival=item.arrival,
            result="accepted",
            checksum=item.checksum,
            nevra=item.facts.nevra,
            entry=replace(entry, origin=Origin(how="arrival", of=item.arrival.name, checksum=item.checksum)),
            module=item.facts.module,
        )

    def _stored(self, item: _Taken, path: StorePath) -> Entry:
        """Sign the private copy, store it, and describe the stored bytes."""
        entry = self._entry_as_it_is(item, path) or self._signed_entry(item, path)
        try:
            with self._stage("store", item.checksum):
                self._store.add(path, [item.copy], entry.package.pkgid)
        except Conflict:
            return self._left_over(item, path)
        return entry

    def _entry_as_it_is(self, item: _Taken, path: StorePath) -> Entry | None:
        """The entry of what we signed before; None where it has to be signed, first or anew."""
        if self._signer.fingerprint in item.facts.signers:
            # Another's signature beside ours, or a damaged copy of ours: signing leaves one, ours.
            with self._stage("seal", item.checksum), contextlib.suppress(Unreadable):
                return self._entry(item.copy, None, path)
        return None

    def _signed_entry(self, item: _Taken, path: StorePath) -> Entry:
        with self._stage("sign", item.checksum):
            signature = self._signer.sign(item.facts.signable)
        with self._stage("seal", item.checksum):
            return self._entry(item.copy, signature, path)

    def _entry(self, copy: Path, signature: bytes | None, path: StorePath) -> Entry:
        return self._rpms.seal(copy, signature, self._signer.public_key, path, self._policy.changelogs)

    def _left_over(self, item: _Taken, path: StorePath) -> Entry:
        """The path holds other bytes that no generation lists: an earlier try was stopped.

        The same build signed by us at another second is taken as it lies there; anything
        else stays untouched, and the package goes to a path of its own.
        """
        with private_copy(self._store, path, self._workspace) as (copy, _), contextlib.suppress(Unreadable):
            facts = self._rpms.examine(copy, self._signer.public_key)
            if facts.build == item.facts.build and self._signer.fingerprint in facts.signers:
                entry = self._entry(copy, None, path)
                # Anew: a prune may have found that nothing lists it, and be about to take it away.
                self._store.add(path, [copy], entry.package.pkgid)
                return entry
        apart = item.facts.apart
        if apart == path:
            msg = f"{path} is taken by other bytes of the same build; remove it from the store by hand"
            raise Unavailable(msg)
        entry = self._entry(item.copy, None, apart)
        try:
            self._store.add(apart, [item.copy], entry.package.pkgid)
        except Conflict:
            return self._left_over(item, apart)
        return entry

    def _is_published(self, item: _Taken, published: Package) -> bool:
        """Whether an arrival is the build that is published, whoever signed it."""
        if item.checksum != published.pkgid:
            return self._stored_build(published) == item.facts.build
        # The very file: put where it is listed, if it was lost there, before the arrival is taken away.
        self._store.add(published.href, [item.copy], published.pkgid)
        return True

    def _stored_build(self, published: Package) -> tuple[Sha256, Sha256]:
        """The build that is published; ``Corrupt`` where the store does not hold its bytes any more."""
        try:
            with private_copy(self._store, published.href, self._workspace) as (copy, found):
                if found != published.pkgid:
                    msg = (
                        f"{published.href} was altered in the store: expected sha256 {published.pkgid}, found {found}; "
                        "restore it from a copy (repod verify lists all such files)"
                    )
                    raise Corrupt(msg)
                return self._rpms.examine(copy, b"").build
        except NotFound as error:
            msg = (
                f"{published.href} is listed and gone from the store: put the file with sha256 {published.pkgid} there "
                "or into the inbox; where there is no copy of it, remove the build (repod remove) and upload it again"
            )
            raise Corrupt(msg) from error


def _undone(item: _Taken, result: str, problem: str) -> Outcome:
    """Not now, through no fault of the arrival."""
    nevra = item.facts.nevra
    return Outcome(arrival=item.arrival, result=result, checksum=item.checksum, nevra=nevra, problem=problem)
