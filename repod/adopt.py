"""Takes over a repository that another tool made: its packages, their metadata, its other documents.

The plan is made first and tells every fault; nothing is written before it is sound. Then each
package is copied into the store and proven by its documented checksum; no RPM header is read.
All become one generation. What is there already is not copied again, so that an adopt that was
stopped carries on when it is run again.
"""

import hashlib
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from repod.adoption import Kind, Left, Spot, one_of_each, place, spots
from repod.doors import Change, Find, Repodata, Store
from repod.elsewhere import Foreign, Listed, Source
from repod.errors import Conflict, Corrupt, NotFound, Unavailable
from repod.generation import Generation
from repod.package import Nevra, Origin, Package, Sha256, StorePath, sha256
from repod.publish import Publisher
from repod.scratch import discard

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Key = tuple[Nevra, str, str]

Tell = Callable[[str, int, int], object]
"""Told what is being done, how many are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A package whose file was found, and where it is to lie."""

    listed: Listed
    spot: Spot
    target: StorePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an adopt does: ``found`` is taken over, ``present`` is published already, ``left`` is neither."""

    found: Sequence[Found]
    present: int
    left: Sequence[Left]

    @property
    def size(self) -> int:
        """Bytes of the packages to be taken over."""
        return sum(found.listed.size for found in self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What an adopt did. ``generation`` is None where it had to stop; ``left`` says why.

    ``kept`` are types of documents that the repository had already: its own stayed.
    """

    generation: Generation | None
    packages: int
    left: Sequence[Left]
    kept: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The edit that sets a carried document where there is none of its type yet."""

    type: str
    data: bytes = field(repr=False)

    @property
    def what(self) -> str:
        """See ``Edit.what``."""
        return self.type

    @property
    def size(self) -> int:
        """See ``Edit.size``."""
        return len(self.data)

    def apply(self, present: bytes | None, _find: Find) -> bytes:
        """See ``Edit.apply``."""
        return self.data if present is None else present


class Adoption:
    """One repository that is taken over into another."""

    def __init__(
        self,
        *,
        source: Source,
        foreign: Foreign,
        store: Store,
        repodata: Repodata,
        publisher: Publisher,
        workspace: Path,
        own: bool,
        parallel: int,
        tell: Tell = lambda _doing, _done, _all: None,
    ) -> None:
        """``own``: the source is the store itself. ``workspace`` is a private folder for what is fetched.

        ``parallel`` is how many packages are worked on at a time; ``tell`` hears how far it is.
        """
        self._source = source
        self._foreign = foreign
        self._store = store
        self._repodata = repodata
        self._publisher = publisher
        self._workspace = workspace
        self._own = own
        self._parallel = parallel
        self._tell = tell
        self._stored: Mapping[StorePath, int] = {}

    def plan(self) -> Plan:
        """What would be done; every package is looked for, and nothing is written."""
        self._publisher.refresh()
        self._stored = {stored.path: stored.size for stored in self._store.list("")}
        chosen, left = one_of_each(self._foreign.listed())
        published = self._repodata.find(package.nevra for package in chosen)
        fresh, taken = self._unpublished(chosen, published)
        found: dict[StorePath, Found] = {}
        left += taken
        for package, result in zip(fresh, self._each("looking for packages", self._find, fresh), strict=True):
            if isinstance(result, Left):
                left.append(result)
            elif result.target in found:
                other = found[result.target].listed.nevra
                left.append(_left(package, "taken", f"its place {result.target} is that of {other}"))
            else:
                found[result.target] = result
        return Plan(found=list(found.values()), present=len(chosen) - len(fresh) - len(taken), left=left)

    def _unpublished(
        self, chosen: Sequence[Listed], published: Mapping[Nevra, Package]
    ) -> tuple[list[Listed], list[Left]]:
        """Those that are to be taken over, and those whose NEVRA another build has here."""
        fresh, taken = [], []
        for package in chosen:
            listed = published.get(package.nevra)
            if listed is None:
                fresh.append(package)
            elif not self._same(package, listed):
                text = f"published already as another build, sha256 {listed.pkgid}; that one stays"
                taken.append(_left(package, "taken", text))
        return fresh, taken

    def _same(self, package: Listed, listed: Package) -> bool:
        """Whether what is published is this package's file."""
        if package.algorithm == "sha256":
            return package.checksum == listed.pkgid
        if package.size != listed.size:
            return False
        with suppress(NotFound):
            return _digests(self._store.stream(listed.href), package.algorithm)[0] == package.checksum
        return False

    def _find(self, package: Listed) -> Found | Left:
        """The first place that has a file of the documented size."""
        other = ""
        for spot in spots(package):
            try:
                size = self._source.size(spot.href, spot.base)
            except NotFound:
                continue
            if size in {None, package.size}:
                return Found(listed=package, spot=spot, target=place(spot.href, package.nevra))
            other = other or f"expected {package.size} bytes, found {size}"
        text = other or f"not there{f', nor at {package.base}' if package.base else ''}"
        return _left(package, "damaged" if other else "missing", text)

    def carry_out(self, plan: Plan, *, actor: str, why: str, skip: bool) -> Adopted:
        """Copy, prove and publish.

        Nothing is published where a package cannot be taken over, unless ``skip`` allows to leave out
        those that are missing or damaged. What was copied stays for the next time.
        """
        left = list(plan.left)
        packages: dict[_Key, Package] = {}
        if not blocked(left, skip=skip):
            for found, result in zip(plan.found, self._each("copying packages", self._bring, plan.found), strict=True):
                if isinstance(result, Left):
                    left.append(result)
                else:
                    packages[_key(found.listed)] = result
        if blocked(left, skip=skip):
            return Adopted(generation=None, packages=len(packages), left=left)
        count = len(packages)
        self._tell("publishing", count, count)
        # Each is taken once: the same entry may stand there twice.
        origin = Origin(how="adoption", of=self._source.name)
        taken = self._foreign.entries(lambda listed: packages.pop(_key(listed), None))
        entries = [replace(entry, origin=origin) for entry in taken]
        edits = [Keep(type=one.type, data=one.data) for one in self._foreign.carried]
        generation = self._publisher.publish(Change(entries=entries, edits=edits), actor=actor, why=why)
        return Adopted(generation=generation, packages=count, left=left, kept=self._kept(generation))

    def _kept(self, generation: Generation) -> list[str]:
        documents = {one.type: generation.document(one.type) for one in self._foreign.carried}
        theirs = {one.type: hashlib.sha256(one.data).hexdigest() for one in self._foreign.carried}
        return [kind for kind, document in documents.items() if document and document.open_checksum != theirs[kind]]

    def _each(self, doing: str, work: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
        """The results of ``work`` in the order of ``items``, some at a time."""
        with ThreadPoolExecutor(self._parallel) as threads:
            try:
                for done, result in enumerate(threads.map(work, items), start=1):
                    yield result
                    self._tell(doing, done, len(items))
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def _bring(self, found: Found) -> Package | Left:
        """The package's file in the store, proven."""
        listed = found.listed
        try:
            pkgid = self._held(found) or self._copied(found)
        except NotFound as error:
            return _left(listed, "missing", str(error))
        except Corrupt as error:
            return _left(listed, "damaged", str(error))
        except Conflict as error:
            return _left(listed, "taken", str(error))
        return Package(nevra=listed.nevra, pkgid=pkgid, size=listed.size, href=found.target)

    def _held(self, found: Found) -> Sha256 | None:
        """The file's SHA-256 where the store has it at its place already; None where it has nothing there."""
        listed = found.listed
        if self._stored.get(found.target) is None:
            return None
        lies = posixpath.normpath(found.spot.href.lstrip("/"))
        mine = self._own and found.target == lies and not found.spot.base
        if mine and listed.algorithm == "sha256" and self._stored[found.target] == listed.size:
            return sha256(listed.checksum)
        documented, pkgid = _digests(self._store.stream(found.target), listed.algorithm)
        if documented != listed.checksum:
            text = f"{found.target}: expected {listed.algorithm} {listed.checksum}, the store has {documented}"
            raise Corrupt(text) if mine else Conflict(text)
        return pkgid

    def _copied(self, found: Found) -> Sha256:
        """The SHA-256 of the file, copied into the store: its own copy, that a change at the source cannot reach."""
        listed, spot = found.listed, found.spot
        path = self._source.path(spot.href, spot.base)
        if path is None:
            return self._fetched(found)
        if listed.algorithm == "sha256":
            pkgid = sha256(listed.checksum)
        else:
            pkgid = _proven(self._source.open(spot.href, spot.base), listed)
        self._store.add(found.target, [path], pkgid)
        return pkgid

    def _fetched(self, found: Found) -> Sha256:
        copy = self._workspace / hashlib.sha256(found.target.encode()).hexdigest()
        try:
            pieces = self._source.open(found.spot.href, found.spot.base)
            pkgid = _proven(_written(pieces, copy, found.listed.size), found.listed)
            self._store.add(found.target, [copy], pkgid)
            return pkgid
        finally:
            discard(copy)


def blocked(left: Iterable[Left], *, skip: bool) -> bool:
    """Whether something is left out that must not be."""
    allowed = {"twice", "missing", "damaged"} if skip else {"twice"}
    return any(one.kind not in allowed for one in left)


def _left(package: Listed, kind: Kind, text: str) -> Left:
    return Left(nevra=package.nevra, href=package.href, kind=kind, text=text)


def _key(listed: Listed) -> _Key:
    return listed.nevra, listed.checksum, listed.href


def _digests(pieces: Iterable[bytes], algorithm: str) -> tuple[str, Sha256]:
    """The checksum by ``algorithm`` and the SHA-256, in one pass."""
    documented, ours = hashlib.new(algorithm), hashlib.sha256()
    for piece in pieces:
        documented.update(piece)
        if algorithm != "sha256":
            ours.update(piece)
    digest = documented.hexdigest() if algorithm == "sha256" else ours.hexdigest()
    return documented.hexdigest(), sha256(digest)


def _proven(pieces: Iterable[bytes], listed: Listed) -> Sha256:
    found, pkgid = _digests(pieces, listed.algorithm)
    if found != listed.checksum:
        raise Corrupt(f"{listed.href}: expected {listed.algorithm} {listed.checksum}, found {found}")
    return pkgid


def _written(pieces: Iterable[bytes], target: Path, most: int) -> Iterator[bytes]:
    """The same pieces, written to a new file on their way; ``Corrupt`` where there are more than ``most`` bytes."""
    size = 0
    try:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            for piece in pieces:
                size += len(piece)
                if size > most:
                    raise Corrupt(f"expected {most} bytes, more came")
                file.write(piece)
                yield piece
    except OSError as error:
        raise Unavailable(f"{target} cannot be written: {error.strerror}; see the disk of [state_dir]") from error
