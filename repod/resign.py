"""Signs the packages of a repository anew, with the key that signs now.

Each package goes the way of an arrival: private copy, digests proven, signed, proven to be the same
build, stored under a path of its own. Then they are published, some hundred a generation, in the place
of those with the other signature, whose files stay for hosts that hold older metadata until they are
pruned. A package that was signed anew before and not published, because a run was stopped, is found at
its new path and taken as it is. What another writer changed meanwhile is left as he made it.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from repod.beside import Threads, threads
from repod.copies import private_copy
from repod.doors import Change, Repodata, Rpms, Signer, Store, Unreadable
from repod.errors import Conflict, Corrupt, NotFound, Unavailable
from repod.generation import Generation
from repod.history import History
from repod.ledger import Ledger
from repod.package import Entry, Facts, Fault, Origin, Package, StorePath, store_path
from repod.publish import Publisher
from repod.signatures import Issuers, Signatures, Tell

_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A listed package that is not signed by our key alone; ``by`` are those who signed it."""

    package: Package
    by: Issuers


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``wanted`` are to be signed anew, of ``packages`` that there are; ``missing`` have no file.

    ``index``: the index is to be signed anew too, even where no package is.
    """

    wanted: Sequence[Wanted]
    missing: Sequence[Package]
    packages: int
    index: bool

    @property
    def size(self) -> int:
        """Bytes of the packages to be signed anew."""
        return sum(one.package.size for one in self.wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A package that could not be signed anew, and why."""

    package: Package
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resigned:
    """What was done. ``overtaken`` are those that another writer replaced or removed meanwhile.

    ``generation`` is the last one that was published; None where there was nothing to publish.
    """

    generation: Generation | None
    packages: int
    overtaken: int
    left: Sequence[Left]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Renewed:
    old: Package
    entry: Entry


class Resigning:
    """Signs the packages of one repository anew."""

    def __init__(
        self,
        *,
        store: Store,
        repodata: Repodata,
        publisher: Publisher,
        ledger: Ledger,
        rpms: Rpms,
        signer: Signer,
        signing_key: str,
        signatures: Signatures,
        index_issuers: Callable[[bytes], Sequence[str]],
        workspace: Path,
        changelogs: int,
        parallel: int,
        pause: Callable[[int], None],
        batch: int = 2000,
        tell: Tell = lambda _doing, _done, _all: None,
        threads: Threads = threads,
    ) -> None:
        """``signing_key`` is the key or subkey that the signer's signatures name.

        ``workspace`` is a private folder; ``parallel`` is how many packages are worked on at a time, and
        ``batch`` how many become one generation. ``pause`` as in ``Publisher``.
        """
        self._store = store
        self._repodata = repodata
        self._publisher = publisher
        self._ledger = ledger
        self._rpms = rpms
        self._signer = signer
        self._signing_key = signing_key
        self._signatures = signatures
        self._index_issuers = index_issuers
        self._workspace = workspace
        self._changelogs = changelogs
        self._parallel = parallel
        self._pause = pause
        self._batch = batch
        self._tell = tell
        self._threads = threads

    def plan(self) -> Plan:
        """What is to be done; nothing is written."""
        generation = self._publisher.refresh()
        listed = list(self._repodata.packages()) if generation else []
        signed = self._signatures.of(listed)
        ours = {self._signing_key}
        return Plan(
            wanted=[
                Wanted(package=package, by=signed[package.pkgid])
                for package in listed
                if package.pkgid in signed and signed[package.pkgid] != ours
            ],
            missing=[package for package in listed if package.pkgid not in signed],
            packages=len(listed),
            index=generation is not None and not self._by_us(generation),
        )

    def carry_out(self, plan: Plan, *, actor: str, why: str) -> Resigned:
        """Sign, store and publish; a package that cannot be signed anew is left as it is, and the others go on."""
        left = [Left(package=package, why="its file is missing; repod verify REPO") for package in plan.missing]
        if plan.wanted:
            # How a build came stays known when the records that say it are of its older bytes.
            self._ledger.fold(list(History(self._store).back()))
        generation, count, overtaken = None, 0, 0
        for renewed in self._renewed(plan.wanted, left):
            published, live = self._published(renewed, actor, why)
            generation = live or generation
            count += published
            overtaken += len(renewed) - published
        if generation is None and plan.index:
            generation = self._index_anew(actor, why)
        return Resigned(generation=generation, packages=count, overtaken=overtaken, left=left)

    def _renewed(self, wanted: Sequence[Wanted], left: list[Left]) -> Iterator[Sequence[_Renewed]]:
        """The packages signed anew, batch by batch; ``left`` grows by those that cannot be."""
        done = 0
        rest = iter(wanted)
        with self._threads(self._parallel, "resign") as beside:
            while batch := list(itertools.islice(rest, self._batch)):
                good: list[_Renewed] = []
                try:
                    for result in beside.map(self._attempted, batch):
                        done += 1
                        self._tell("signing anew", done, len(wanted))
                        if isinstance(result, Left):
                            left.append(result)
                        else:
                            good.append(result)
                except Unavailable:
                    beside.shutdown(wait=False, cancel_futures=True)
                    raise
                yield good

    def _attempted(self, wanted: Wanted) -> _Renewed | Left:
        """What is wrong with the package leaves it as it is; ``Unavailable``, which is ours, stops the run."""
        package = wanted.package
        try:
            return _Renewed(old=package, entry=self._signed_anew(package))
        except (Unreadable, Corrupt, NotFound, Conflict) as error:
            return Left(package=package, why=str(error))
        except OSError as error:
            msg = f"a private copy of {package.href} cannot be made ({error}); see the disk of [state_dir]"
            raise Unavailable(msg) from error

    def _signed_anew(self, package: Package) -> Entry:
        """The package's entry with our signature, stored."""
        with self._copy(package.href) as (copy, digest):
            if digest != package.pkgid:
                msg = f"altered: expected sha256 {package.pkgid}, found {digest}; restore it from a copy"
                raise Corrupt(msg)
            facts = self._rpms.examine(copy, b"")
            if facts.faults:
                raise Unreadable(*facts.faults)
            path = renewed_path(facts, self._signer.fingerprint)
            entry = self._stored_before(path, facts) or self._stored(copy, path, facts)
        return replace(entry, origin=Origin(how="resigning", of=package.pkgid))

    def _stored_before(self, path: StorePath, facts: Facts) -> Entry | None:
        """The entry of what an earlier run stored; None where it stored nothing."""
        try:
            with self._copy(path) as (copy, _):
                return self._proven(copy, None, path, facts)
        except NotFound:
            return None

    def _stored(self, copy: Path, path: StorePath, facts: Facts) -> Entry:
        entry = self._proven(copy, self._signer.sign(facts.signable), path, facts)
        try:
            self._store.add(path, [copy], entry.package.pkgid)
        except Conflict:  # another run has just stored it
            entry = self._stored_before(path, facts) or entry
        return entry

    def _proven(self, copy: Path, signature: bytes | None, path: StorePath, facts: Facts) -> Entry:
        """The entry of ``copy`` with ``signature`` put in (None: it has it), proven to be the same build."""
        entry = self._rpms.seal(copy, signature, self._signer.public_key, path, self._changelogs)
        found = self._rpms.examine(copy, self._signer.public_key)
        if found.build != facts.build:
            text = f"not the same build after signing: expected {facts.build}, found {found.build}"
            raise Unreadable(Fault(code="signing", text=text))
        return entry

    def _published(self, renewed: Sequence[_Renewed], actor: str, why: str) -> tuple[int, Generation | None]:
        """How many took the place of their older bytes, and the generation that lists them."""
        for attempt in range(_ATTEMPTS):
            generation = self._publisher.refresh()
            still = self._still(renewed)
            if not still or generation is None:
                return 0, None
            self._tell("publishing", len(still), len(still))
            self._ledger.follow([(one.old, one.entry.package) for one in still])
            change = Change(entries=[one.entry for one in still])
            try:
                live = self._publisher.publish(
                    change, actor=actor, why=why, replace=True, on=generation.number, foreign=True
                )
            except Conflict:
                self._pause(attempt)  # another writer published: look again at what is listed now
            else:
                return len(still), live
        msg = f"other writers changed the repository {_ATTEMPTS} times meanwhile; run it again later"
        raise Conflict(msg)

    def _still(self, renewed: Sequence[_Renewed]) -> Sequence[_Renewed]:
        """Those whose older bytes are listed still."""
        listed = self._repodata.find(one.old.nevra for one in renewed)
        return [one for one in renewed if listed.get(one.old.nevra) == one.old]

    def _index_anew(self, actor: str, why: str) -> Generation | None:
        """A generation with the same packages, whose index our key signs."""
        for attempt in range(_ATTEMPTS):
            generation = self._publisher.refresh()
            if generation is None or self._by_us(generation):
                return generation
            try:
                live = self._publisher.republish(generation, (), actor=actor, why=why)
            except Conflict:
                live = generation
            if live.number == generation.number:  # another writer
                self._pause(attempt)
                continue
            return live
        msg = f"other writers changed the repository {_ATTEMPTS} times meanwhile; run it again later"
        raise Conflict(msg)

    def _by_us(self, generation: Generation) -> bool:
        return self._signing_key in self._index_issuers(generation.signature.encode())

    def _copy(self, path: StorePath) -> AbstractContextManager[tuple[Path, str]]:
        return private_copy(self._store, path, self._workspace)


def renewed_path(facts: Facts, fingerprint: str) -> StorePath:
    """Where a build lies once the key signed it anew: the same for the same build and key, and no other's."""
    folder, _, name = facts.nevra.location.rpartition("/")
    mark = hashlib.sha256(f"{facts.header_sha256}{facts.payload_sha256}{fingerprint}".encode()).hexdigest()
    return store_path(f"{folder}/{mark[:16]}/{name}")


def by_key(wanted: Iterable[Wanted]) -> Mapping[str, int]:
    """How many packages there are by those who signed them, as one says it."""
    found: dict[str, int] = {}
    for one in wanted:
        name = ", ".join(sorted(one.by)) or "nobody"
        found[name] = found.get(name, 0) + 1
    return found
