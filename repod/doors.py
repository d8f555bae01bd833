"""The doors between what repod decides and the world: one small Protocol each.

Use cases take these as arguments; the adapters behind them live in ``store/``, ``inbox/``,
``signing/``, ``rpmfile`` and ``repodata/``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NewType, Protocol

from repod.errors import RepodError
from repod.generation import Document, Generation, Patch
from repod.package import Entry, Facts, Fault, Nevra, Origin, Package, Sha256, StorePath

Clock = Callable[[], float]
"""Seconds since 1970 (UTC)."""

Version = NewType("Version", str)
"""Opaque token of one state of an object; comes from ``Store.read`` or ``Store.write``."""


class Pause(Protocol):
    """Spreads writers that met: a door to time and chance."""

    def __call__(self, attempt: int, unit: float = 0.01) -> None:
        """Sleep a random part of ``unit`` seconds, of half as much again for each number of the attempt."""


class Expect(Enum):
    """What ``Store.write`` demands of the present state, where it is not a ``Version``."""

    ABSENT = "absent"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A small object's bytes with the version they belong to."""

    data: bytes
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One object of a listing. ``modified`` is seconds since 1970.

    ``version`` is its version where a listing tells it, else empty.
    """

    path: StorePath
    size: int
    modified: float
    version: str = ""


Fetch = Callable[[int, int], bytes]
"""Bytes from an offset on, so many, from somewhere near; ``Corrupt`` where they are not there any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """``length`` bytes from ``offset`` of an object that the same store already holds.

    ``local`` gives the same bytes, counted from the extent's own begin, without asking the store; it
    may be called from any thread until ``Store.add`` returns.
    """

    path: StorePath
    offset: int
    length: int
    local: Fetch | None = field(default=None, compare=False)


Part = bytes | Extent | Path
"""A piece of an object to be added: bytes, a range of a stored object, or a whole local file."""


class Store(Protocol):
    """Where a repository lies: whole objects under paths, like an object store.

    Every method may raise ``Unavailable`` (nothing changed) and, where it writes,
    ``OutcomeUnknown``. A reader never sees a part of an object.
    """

    def read(self, path: StorePath) -> Blob:
        """The object's bytes; ``NotFound`` only where it certainly does not exist."""

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The object's bytes from ``offset`` on, in pieces; ``NotFound`` as in ``read``."""

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        """Replace or create a small object, durably, if its state is the expected one.

        Raises ``Conflict`` where it is not. Of any number of writers that expect the same
        state, exactly one succeeds.
        """

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        """Create an immutable object from ``parts``, durably.

        The stored bytes are read back and must have ``checksum``, else ``Corrupt`` and
        nothing is visible. An object with the same bytes already there is success, and it
        counts as modified now; one with other bytes is ``Conflict``.
        """

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: "Store | None" = None) -> None:
        """Create an immutable object with the bytes of another, durably, without moving them where that can be.

        ``source`` was added with ``checksum``, to this store or to the store ``of``; ``NotFound``
        where it is not there. A ``target`` with the same bytes is success, one with others is
        ``Conflict``. ``target`` counts as modified now.
        """

    def list(self, prefix: str) -> Iterable[Stored]:
        """All objects whose path starts with ``prefix``, in any order; never temporary ones."""

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        """Remove an object; one that is not there is success. False where it stays.

        ``seen``, as a listing told it: only if it was not added again since. So what a writer is
        about to name, and therefore adds again, is not taken away by somebody who looked before.
        """

    def sweep(self) -> int:
        """Remove what writers that are no more left half made; return how much there was."""

    def prove(self) -> None:
        """Show that what it promises is kept where it lies; ``Misconfigured`` says what stands against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One package or document seen in an inbox.

    ``name`` is the path below the inbox as it was uploaded, raw. ``mark`` tells one state
    of the file from any other; only the inbox that made it reads it. ``age`` is seconds
    since the file last changed. ``waiting`` says why the file is not ready to be taken,
    and is empty where it is ready. ``fault`` is set where it must be refused unread. ``whole``: who
    brought the file has said that nothing is missing, so that waiting mends nothing.
    """

    name: str
    size: int
    mark: str
    age: float
    waiting: str = ""
    fault: Fault | None = None
    whole: bool = False


class Inbox(Protocol):
    """Where packages and documents come in. Several threads may take, or remove, different arrivals at once."""

    def scan(self) -> Sequence[Arrival]:
        """Everything that waits now. Raises ``Unavailable`` rather than show less than there is."""

    def take(self, arrival: Arrival, target: Path) -> Sha256:
        """Copy the arrival's bytes to ``target`` (a new file, mode 0600) and return their SHA-256.

        Raises ``Conflict`` where the arrival changed meanwhile, ``NotFound`` where it is gone.
        """

    def remove(self, arrival: Arrival) -> None:
        """Remove exactly this state of the arrival; a newer state under the name stays."""

    def reject(self, arrival: Arrival, faults: Sequence[Fault], checksum: str, time: float) -> str:
        """Move the arrival to ``rejected`` with a reason file; return where it now lies.

        Raises ``Conflict`` where it changed, ``NotFound`` where it is gone.
        """

    def wait(self, seconds: float) -> bool:
        """Sleep until something may have arrived (True) or ``seconds`` are over (False)."""

    def close(self) -> None:
        """Stop watching; wakes a ``wait``."""


class Signer(Protocol):
    """The holder of the signing key, who also knows the other keys that hosts are to accept.

    ``fingerprint`` is the primary key's, in full, upper case. ``public_key`` is its armored
    certificate: what proves that a signature made now is ours. ``published`` are the armored
    certificates that hosts get, that one first: what proves that hosts accept a package.
    """

    fingerprint: str
    public_key: bytes
    published: bytes

    def sign(self, data: bytes) -> bytes:
        """A binary detached OpenPGP signature over ``data``; ``Unavailable`` where it fails."""

    def sign_index(self, data: bytes) -> bytes:
        """The signature over an index, after that of the cosigning key where there is one; see ``sign``."""


class Unreadable(RepodError):
    """A file that cannot be read as what it should be, with the reasons."""

    exit_code = 3

    def __init__(self, *faults: Fault) -> None:
        """``faults``: at least one."""
        super().__init__("; ".join(fault.text for fault in faults))
        self.faults: Sequence[Fault] = faults


class Rpms(Protocol):
    """Reads and changes RPM files apart from this process, within limits of time and memory.

    What a file makes go wrong there (crash, hang, memory) is a ``Fault`` of that file:
    the methods raise ``Unreadable`` with it.
    """

    def examine(self, path: Path, trusted: bytes) -> Facts:
        """Facts of the file, every digest checked; ``Unreadable`` where it is not an RPM.

        ``trusted``: armored certificates to check its signatures with; may be empty.
        """

    def seal(self, path: Path, signature: bytes | None, published: bytes, href: StorePath, changelogs: int) -> Entry:
        """Apply ``signature`` to the file (None: it has ours), prove it, describe the result.

        The result must verify with the certificate ``published`` alone. ``changelogs`` is
        how many changelog entries, newest first, metadata keeps. Raises ``Unreadable``.
        """

    def describe(self, path: Path, known: Package | None, href: StorePath, changelogs: int) -> Entry:
        """The entry of a published package, from its file alone; equal to what ``seal`` made of it.

        With ``known`` the file may end where its payload begins, and size and pkgid are those;
        None: it is whole, and its digests are checked. Raises ``Unreadable``.
        """

    def glance(self, path: Path, known: Package, trusted: bytes) -> Facts:
        """Facts of a published package as ``examine`` gives them, from a file that may end where its payload begins.

        What is said of the payload is the header's word, and is not proven.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A document that is ready to be stored at ``path``: its parts, or the object it is a copy of."""

    path: StorePath
    checksum: Sha256
    parts: Sequence[Part] = ()
    source: StorePath | None = None


Ready = Callable[[Piece], object]
"""Is given each piece that can be stored, from any thread, while what is left is still made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The documents of a generation that is not committed yet.

    ``removed`` holds what the change takes out, as the parent listed it. ``documents`` and
    ``frozen`` are those of ``Generation``. ``pieces`` are all that is not stored yet; those that
    have a ``source`` are copied after it is stored. Where nothing changes there are none. ``patch``
    is that of ``Generation``, on the loaded one.
    """

    number: int
    packages: int
    added: Sequence[Package]
    removed: Sequence[Package]
    documents: tuple[Document, ...]
    frozen: Document
    pieces: Sequence[Piece]
    repomd: bytes
    frozen_repomd: bytes
    patch: Patch | None


Find = Callable[[Iterable[Nevra]], Mapping[Nevra, Package]]
"""Which of the given NEVRAs are listed, and as which packages."""


class Edit(Protocol):
    """A change of one carried document (comps, modules, updateinfo, …).

    It is made on whatever generation it lands on: after a lost race it is made again on the next.
    Edits cross process borders, so they pickle.
    """

    @property
    def type(self) -> str:
        """The record of repomd that it changes, such as ``group``, ``modules``, ``updateinfo``."""

    @property
    def what(self) -> str:
        """What it is about, as one says it: ``comps.xml``, ``advisory FOO-1``, ``3 advisories``."""

    @property
    def size(self) -> int:
        """How many bytes it holds."""

    def apply(self, present: bytes | None, find: Find) -> bytes | None:
        """The plain document after the change; ``None`` where there is none.

        ``present`` is the plain document before; ``find`` looks packages up in the content that
        the document will lie beside. ``Corrupt`` or ``NotFound`` where it cannot be made on that.
        """


class Documents(Protocol):
    """Reads files that hold carried documents, apart from this process, within limits of time and memory."""

    def knows(self, name: str) -> bool:
        """Whether a file of that name is a document."""

    def read(self, name: str, path: Path) -> Edit:
        """The edit that the file at ``path``, uploaded as ``name``, asks for; ``Unreadable`` lists its faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one publish is to do: packages that come, with their metadata, or go, and edits of documents.

    An entry takes the place of another with the same NEVRA.
    """

    entries: Sequence[Entry] = ()
    removed: Sequence[Nevra] = ()
    edits: Sequence[Edit] = ()

    def __bool__(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.entries or self.removed or self.edits)

    def origins(self, added: Iterable[Package]) -> tuple[Origin, ...]:
        """Where its packages that are ``added`` came from."""
        known = {entry.package.nevra: entry.origin for entry in self.entries}
        return tuple(known[package.nevra] for package in added)


class Repodata(Protocol):
    """Makes the documents of one repository. Holds a cache that may be lost at any time."""

    def load(self, generation: Generation | None) -> None:
        """Stand on ``generation`` (None: nothing published yet), from the cache or the store."""

    def forget(self) -> None:
        """Drop the cache, since it was found to be wrong; the next ``load`` reads the store."""

    def find(self, nevras: Iterable[Nevra]) -> dict[Nevra, Package]:
        """Those of ``nevras`` that the loaded generation lists."""

    def packages(self, name: str | None = None) -> Iterator[Package]:
        """All packages of the loaded generation, or those of one name, in document order."""

    def draft(
        self, change: Change, number: int, time: int, *, whole: bool = False, ready: Ready = lambda _: None
    ) -> Draft:
        """The documents of the loaded generation plus the change, proven readable.

        ``whole``: made without any stored document, because one that should be there is not.
        ``ready`` is given each piece as soon as it can be stored, a copy after what it copies.
        """

    def adopt(self, draft: Draft, generation: Generation) -> None:
        """The draft was committed as ``generation``: stand on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A listed package that requires what of the listed packages only ``providers`` have, as rpm writes it."""

    package: Nevra
    requirement: str
    providers: Sequence[Nevra]
