"""What a repository knows of each build beside its metadata: how it came, its labels, its pin.

How a build came stands in the record of the generation that brought it, as long as that is kept;
``fold`` takes it over before the record is pruned. Labels and pins are here alone. The ledger lies
in the store, in shards by package name, and each change is a compare-and-swap of one shard.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from repod import jsontext
from repod.doors import Expect, Store, Version
from repod.doubt import Doubts
from repod.errors import Conflict, Corrupt, NotFound
from repod.generation import Generation
from repod.package import HOW, Nevra, Origin, Sha256, StorePath, sha256, store_path

FOLDER = ".repod/ledger/"
FORMAT = 1
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Who set a label or a pin, when (seconds since 1970), and why."""

    time: float
    actor: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """How a build came: the generation that listed it first, and what its record says."""

    generation: int
    time: int
    actor: str
    why: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one build: these bytes of this NEVRA. ``came`` is None while only a record says it."""

    nevra: Nevra
    pkgid: Sha256
    came: Coming | None = None
    pin: Mark | None = None
    labels: Mapping[str, Mark] = field(default_factory=dict)


class Build(Protocol):
    """These bytes of a NEVRA."""

    @property
    def nevra(self) -> Nevra:
        """What they are."""

    @property
    def pkgid(self) -> Sha256:
        """Their SHA-256."""


Book = Mapping[Sha256, Known]
"""All that is known, by pkgid."""


def comings(generations: Iterable[Generation]) -> dict[Sha256, Coming]:
    """How each build came by the records of ``generations``, the earliest of which counts; by pkgid."""
    found: dict[Sha256, Coming] = {}
    for one in sorted(generations, key=lambda generation: generation.number):
        for package, origin in one.came:
            coming = Coming(generation=one.number, time=one.time, actor=one.actor, why=one.why, origin=origin)
            found.setdefault(package.pkgid, coming)
    return found


class Ledger:
    """The ledger of one repository. Any number of writers, in any processes, may share it."""

    def __init__(self, store: Store, pause: Callable[[int], None]) -> None:
        """``pause`` as in ``Publisher``: between two tries after a lost race."""
        self._store = store
        self._pause = pause

    def all(self) -> dict[Sha256, Known]:
        """Everything that is known, by pkgid. ``Corrupt`` where a shard is unreadable."""
        known: dict[Sha256, Known] = {}
        for book in self.shards():
            known |= book
        return known

    def shards(self) -> Iterator[Book]:
        """Everything that is known, in pieces. ``Corrupt`` where a shard is unreadable."""
        for stored in self._store.list(FOLDER):
            yield self._read(stored.path)[0]

    def of(self, package: Build) -> Known:
        """What is known of one build; nothing is an answer too."""
        return self._read(_shard(package.nevra.name))[0].get(package.pkgid) or _unknown(package)

    def pin(self, package: Build, mark: Mark) -> None:
        """Never prune this build; a pin that is there is replaced."""
        self._change([package], lambda known: replace(known, pin=mark))

    def unpin(self, package: Build) -> bool:
        """Let retention decide on this build again; False where it was not pinned."""
        there = self.of(package).pin is not None
        if there:
            self._change([package], lambda known: replace(known, pin=None))
        return there

    def label(self, package: Build, label: str, mark: Mark) -> None:
        """Put a label on this build; one of that name is replaced."""
        self._change([package], lambda known: replace(known, labels={**known.labels, label: mark}))

    def unlabel(self, package: Build, label: str) -> bool:
        """Take a label off this build; False where it had none of that name."""

        def without(known: Known) -> Known:
            return replace(known, labels={name: mark for name, mark in known.labels.items() if name != label})

        there = label in self.of(package).labels
        if there:
            self._change([package], without)
        return there

    def fold(self, generations: Sequence[Generation]) -> None:
        """Take over what the records of ``generations`` say of the builds they added, before they are pruned.

        What is known of a build already stays: it is from an older record.
        """
        came = comings(generations)
        added = {package.pkgid: package for one in generations for package in one.added}
        self._change(added.values(), lambda known: replace(known, came=known.came or came[known.pkgid]))

    def follow(self, renewed: Sequence[tuple[Build, Build]]) -> None:
        """Builds get other bytes, since they are signed anew: what is known of each holds for those too.

        ``renewed``: pairs of one NEVRA, the older bytes first.
        """
        books = {path: self._read(path)[0] for path in {_shard(old.nevra.name) for old, _ in renewed}}
        known = {new.pkgid: books[_shard(old.nevra.name)].get(old.pkgid) or _unknown(old) for old, new in renewed}
        self._change((new for _, new in renewed), lambda one: replace(known[one.pkgid], pkgid=one.pkgid))

    def same(self, pairs: Sequence[tuple[Build, Build]]) -> list[tuple[Build, Build]]:
        """Those of ``pairs``, of one NEVRA each, that came as one build, and differ only in how they are signed."""
        books = {path: self._read(path)[0] for path in {_shard(one.nevra.name) for one, _ in pairs}}

        def came(build: Build) -> Coming | None:
            known = books[_shard(build.nevra.name)].get(build.pkgid)
            return known.came if known else None

        # What is signed anew takes over how it came; other bytes of the NEVRA come with another generation.
        return [(one, other) for one, other in pairs if came(one) and came(one) == came(other)]

    def drop(self, packages: Iterable[Build]) -> None:
        """Forget builds whose bytes are gone from the store."""
        self._change(packages, lambda _: None)

    def _change(self, packages: Iterable[Build], change: Callable[[Known], Known | None]) -> None:
        """Make ``change`` of what is known of each; None forgets it."""
        by_shard: dict[StorePath, list[Build]] = {}
        for package in packages:
            by_shard.setdefault(_shard(package.nevra.name), []).append(package)
        for path, here in by_shard.items():
            self._change_shard(path, here, change)

    def _change_shard(
        self, path: StorePath, packages: Sequence[Build], change: Callable[[Known], Known | None]
    ) -> None:
        doubts = Doubts()
        for attempt in range(_ATTEMPTS):
            book, version = self._read(path)
            after = dict(book)
            for package in packages:
                known = change(book.get(package.pkgid) or _unknown(package))
                if known is None:
                    after.pop(package.pkgid, None)
                else:
                    after[package.pkgid] = known
            if after == book:
                return
            with doubts:
                self._store.write(path, _to_json(after), version)
                return
            self._pause(attempt)
        msg = f"{path}: other writers changed it {_ATTEMPTS} times meanwhile; try again later"
        raise Conflict(msg)

    def _read(self, path: StorePath) -> tuple[Book, Version | Expect]:
        try:
            blob = self._store.read(path)
        except NotFound:
            return {}, Expect.ABSENT
        try:
            return _from_json(blob.data), blob.version
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path} is unreadable ({error}); restore it from a copy of the store"
            raise Corrupt(msg) from error


def _shard(name: str) -> StorePath:
    """Builds of one name lie together, so that a change of one build is a small write."""
    return store_path(f"{FOLDER}{hashlib.sha256(name.encode()).hexdigest()[:2]}.json")


def _unknown(package: Build) -> Known:
    return Known(nevra=package.nevra, pkgid=package.pkgid)


def _to_json(book: Book) -> bytes:
    return json.dumps({"format": FORMAT, "builds": [asdict(book[pkgid]) for pkgid in sorted(book)]}, indent=1).encode()


def _from_json(data: bytes) -> Book:
    tree = jsontext.loads(data)
    if tree["format"] != FORMAT:
        msg = f"expected format {FORMAT}, found {tree['format']!r}"
        raise ValueError(msg)
    return {known.pkgid: known for known in map(_known, tree["builds"])}


def _known(row: dict[str, Any]) -> Known:
    came = row["came"]
    if came and came["origin"]["how"] not in HOW:
        msg = f"expected one of {', '.join(HOW)}, found {came['origin']['how']!r}"
        raise ValueError(msg)
    return Known(
        nevra=Nevra.of(row["nevra"]),
        pkgid=sha256(row["pkgid"]),
        came=Coming(**came | {"origin": Origin(**came["origin"])}) if came else None,
        pin=Mark(**row["pin"]) if row["pin"] else None,
        labels={label: Mark(**mark) for label, mark in row["labels"].items()},
    )
