"""What may be asked of repod, whoever asks: commands, the HTTP API and the status pages get the same answers.

Answers are plain values that JSON can hold: NEVRAs as dnf prints them, times as ISO 8601 in UTC, sizes in bytes.
Errors are those of ``repod.errors``, with the same one-line texts for everybody.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from repod.builds import Running
from repod.package import Nevra
from repod.rings import RingChange

if TYPE_CHECKING:  # what has no reports does without their models, which take long to make
    from repod.reports import HostNoted, HostPage, HostSays, Reported, Rollout, Summary

Far = Callable[[str, int, int], object]
"""Hears how far long work is: of what, how many are done, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who asks for a change: ``actor`` is what records say (``root``, ``token ci``), ``address`` where from."""

    actor: str
    address: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A repository now. What is None is not known: nothing was published yet, or its place cannot be read.

    ``sources`` are the repositories from which builds came with its generation. ``fresh_until``: when its statement
    ends, by which clients tell it from an old copy.
    """

    repository: str
    generation: int | None
    packages: int | None
    published: str | None
    inbox: int | None
    rejected: int | None
    url: str
    profile: str = ""
    actor: str = ""
    why: str = ""
    fault: str = ""
    sources: Sequence[str] = ()
    fresh_until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A listed package. ``generation`` and ``since``: where and when it was listed first, as far as is known."""

    package: str
    name: str
    evr: str
    arch: str
    size: int
    sha256: str
    path: str
    summary: str = ""
    built: str | None = None
    generation: int | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which packages. ``text``: in name or summary; ``nevra``: may be a pattern; ``after``: ``next`` of a page."""

    text: str = ""
    name: str = ""
    nevra: str = ""
    arch: str = ""
    order: Literal["newest", "name"] = "newest"
    after: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A piece of a long answer: ``total`` of all that match, ``next`` for the next piece, empty at the end."""

    rows: Sequence[Row]
    total: int
    next: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What the header of a package says, for a person. Relations are as rpm writes them (``libc.so.6 >= 2.34``)."""

    summary: str
    description: str
    license: str
    url: str
    vendor: str
    packager: str
    group: str
    buildhost: str
    built: str
    source: str
    installed_size: int
    provides: Sequence[str]
    requires: Sequence[str]
    conflicts: Sequence[str]
    obsoletes: Sequence[str]
    recommends: Sequence[str]
    files: Sequence[str]
    changelog: Sequence[Mapping[str, str]]
    file_count: int = 0
    suggests: Sequence[str] = ()
    supplements: Sequence[str] = ()
    enhances: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name that is listed: its newest build by rpm's order, how many builds it has, and for which arches."""

    newest: Row
    builds: int
    arches: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Some of the names that are listed, of ``total``; ``packages``: how many builds they have together."""

    rows: Sequence[Named]
    total: int
    packages: int
    generation: int


class Catalog(Protocol):
    """The door to what one repository lists now, quick to search at any size; a cache that may be lost.

    Every method may raise ``Unavailable`` while it is not read yet. Answers are of the generation that they
    name, which may be a little behind the current one.
    """

    def search(self, search: Search) -> Page:
        """A page of it; ``Misconfigured`` where ``after`` is no ``next`` of a page in that order."""

    def names(self, limit: int) -> Names:
        """The names, at most ``limit``; those whose newest build came last are first."""

    def builds_of(self, name: str) -> Sequence[Row]:
        """The builds of one name, the newest by rpm's order first, at most 1,000; none where it is not listed."""

    def arches(self) -> Mapping[str, int]:
        """How many packages there are of each arch."""

    def details(self, nevra: Nevra) -> Details:
        """What the header of a listed package says; ``NotFound`` where it is not listed.

        Of very many files only the first 10,000 are told; ``file_count`` counts all. Directories end with a slash.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An arrival that is not done with. ``why`` is empty where its turn just has not come."""

    file: str
    size: int
    age: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A rejected arrival, as its reason file says; each fault has ``code``, ``text`` and a ``remedy``.

    ``file`` is its name where it lies now, at ``place``; ``inbox_path`` is as it was uploaded; ``id`` is its alone.
    """

    file: str
    sha256: str | None
    size: int
    time: str
    place: str
    faults: Sequence[Mapping[str, str]]
    inbox_path: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What became of the bytes with that SHA-256, as they were uploaded.

    ``faults``: why they were rejected; ``why``: what they wait for. ``unknown``: never seen, or forgotten.
    """

    sha256: str
    state: Literal["waiting", "published", "rejected", "unknown"]
    file: str = ""
    generation: int | None = None
    packages: Sequence[str] = ()
    faults: Sequence[Mapping[str, str]] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What came of a change. ``generation`` is None where nothing was published; ``rows`` are its details.

    ``refused`` is set where a policy says no (exit code 3), with every reason in ``rows``. ``text`` is what was
    done, in a line for a person. ``code`` is the exit code; ``stopped`` is what ended it halfway, after ``rows``.
    """

    repository: str
    generation: int | None
    rows: Sequence[Mapping[str, Any]]
    warnings: Sequence[str] = ()
    refused: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    code: int = 0
    stopped: str = ""


class Looks(Protocol):
    """Questions that change nothing. All may take a while: not to be asked on an event loop."""

    def states(self) -> Sequence[State]:
        """Every repository."""

    def history(
        self, repository: str, *, package: str = "", before: int = 0, limit: int = 20
    ) -> Sequence[dict[str, Any]]:
        """Generations, newest first, older than ``before`` unless that is 0; as ``repod history`` shows them."""

    def diff(self, repository: str, number: int | None, other: str, other_number: int | None) -> Mapping[str, Any]:
        """What would change for hosts from one content to another; None: the current generation."""

    def builds(self, repository: str, nevra: str, *, fate: bool = True) -> Sequence[Mapping[str, Any]]:
        """All that is known of a NEVRA, the listed build first; as ``repod why`` shows it.

        Without ``fate`` it is not asked what retention says, which takes a look at everything listed.
        """

    def keys(self) -> Sequence[Mapping[str, Any]]:
        """Every key that the settings name, and what each signed."""

    def plan(self, repository: str) -> Sequence[Mapping[str, Any]]:
        """What a prune would let go, with the reasons."""

    def modules(self, repository: str) -> Mapping[str, Sequence[str]]:
        """The module streams of each modular build, by its NEVRA, as ``repod packages`` shows them.

        ``Corrupt`` where the document that says so is not sound.
        """

    def advisories(self, repository: str) -> Sequence[Mapping[str, Any]]:
        """The advisories of the current generation; as ``repod advisory list`` shows them."""

    def rings(self, repository: str) -> Mapping[str, Any]:
        """The rings of a repository, and the serial and times of their file; as ``repod ring list`` shows them."""

    def rejected(self, repository: str, *, limit: int = 50, before: str = "") -> Sequence[Refusal]:
        """Rejected arrivals, newest first; those before the one with the id ``before``, if that is not empty."""

    def arrival(self, repository: str, checksum: str) -> Arrival:
        """What became of the bytes with that SHA-256: published, rejected, else unknown."""

    def hosts(self, repository: str, nevra: str) -> Running:
        """Which hosts run a build, by what they report (``[repository.retention] hosts``)."""


class Deeds(Protocol):
    """Changes. Each is written into the audit log, done or not, by who asked for it."""

    def promote(self, source: str, target: str, wanted: Any, by: By, *, force: bool, dry_run: bool) -> Deed:
        """Add builds of ``source`` to ``target``; ``wanted`` is a ``repod.promote.Wanted``."""

    def rollback(self, repository: str, number: int | None, by: By, *, dry_run: bool) -> Deed:
        """Publish what generation ``number`` listed; None: the one before the last."""

    def remove(self, repository: str, nevras: Sequence[str], by: By, *, dry_run: bool) -> Deed:
        """Take builds out of the metadata."""

    def mark(self, repository: str, nevras: Sequence[str], by: By, *, label: str = "", off: bool = False) -> Deed:
        """Pin builds, or put ``label`` on them; ``off``: take it off."""

    def ring(self, repository: str, ring: str, change: RingChange | None, by: By) -> Deed:
        """Change a ring, or make it; None: remove it."""

    def prune(self, repository: str, by: By, tell: Far) -> Deed:
        """Let go of what retention lets go."""

    def verify(self, repository: str, by: By, tell: Far, *, repair: bool) -> Deed:
        """Prove everything, and with ``repair`` mend what can be."""

    def advise(self, repository: str, file: str, data: bytes, by: By) -> Deed:
        """Add the advisories of a document, whose name ``file`` says what it is; ``Refused`` where it is not sound."""

    def unadvise(self, repository: str, ids: Sequence[str], by: By) -> Deed:
        """Remove advisories: all of them, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A change, done or not, as the audit log is to have it. ``time`` is seconds since 1970.

    ``details``: arguments of ``what`` (``promote``) ``by`` did. ``outcome``: ``done…``, ``refused…`` or ``failed…``.
    """

    time: float
    by: By
    what: str
    repository: str
    details: Mapping[str, Any]
    outcome: str


class Record(Protocol):
    """The door to the audit log, which hears of each change, done or not. ``Unavailable`` says why it cannot."""

    def __call__(self, *, by: By, what: str, repository: str, details: Mapping[str, Any], outcome: str) -> None:
        """It happened now; the words are those of ``Noted``."""

    def append(self, noted: Sequence[Noted]) -> None:
        """These happened, in this order."""

    def ready(self) -> None:
        """Return where a change can be written down once it is made; it is not to be made where that raises."""

    def head(self) -> str:
        """The last record as ``N:HASH``; empty where there is no audit log."""


class Unrecorded:
    """A ``Record`` that writes nothing."""

    def __call__(self, **_what: Any) -> None:
        """See ``Record``."""

    def append(self, noted: Sequence[Noted]) -> None:
        """See ``Record.append``."""

    def ready(self) -> None:
        """See ``Record.ready``."""

    def head(self) -> str:
        """See ``Record.head``."""
        return ""


class Reports(Protocol):
    """The door to what is reported of the hosts of each repository. Every method may raise ``Unavailable``."""

    def rollouts(self, repository: str, *, limit: int = 20) -> "Sequence[Summary]":
        """Those that were reported last, newest first."""

    def rollout(self, repository: str, name: str) -> "Reported":
        """The rollout whose id is ``name``; ``NotFound`` where there is none."""

    def report(self, repository: str, rollout: "Rollout", by: By) -> "Reported":
        """Keep a report. ``Conflict`` where that rollout has ended another way already."""

    def host(self, repository: str, host: str, said: "HostSays", by: By) -> "HostNoted":
        """Keep what a host runs; ``Unfit`` where that is no list of packages, or reports of enough hosts are kept."""

    def hosts(self, repository: str, *, package: str = "", after: str = "", limit: int = 50) -> "HostPage":
        """Hosts that report, by name, from the one after ``after`` on; with ``package``, those that run that name."""

    def forget(self, repository: str, host: str, by: By) -> None:
        """Remove the report of a host that is gone; ``NotFound`` where there is none."""


def no_reports() -> Reports:
    """Where nothing is reported."""
    from repod.reports import NoReports  # noqa: PLC0415 - see above

    return NoReports()


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """All that the listener may ask of one set of settings.

    ``repositories`` are their names, ``catalogs`` by those names; ``record`` is the audit log.
    """

    looks: Looks
    deeds: Deeds
    catalogs: Mapping[str, Catalog] = field(default_factory=dict)
    repositories: Sequence[str] = ()
    record: Record = field(default_factory=Unrecorded)
    reports: Reports = field(default_factory=no_reports)
