"""All that is known of one build: gathered from its repository, the others of the settings, and its own head."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repod.actions.changes import read_carried
from repod.actions.means import Warn
from repod.config import Repository, Settings
from repod.doors import Store, Unreadable
from repod.errors import Corrupt, NotFound, RepodError
from repod.generation import Generation
from repod.headers import Headers
from repod.ledger import Coming, Ledger, Mark
from repod.package import Head, Nevra, Package, sha256
from repod.past import Build, Past, way
from repod.places import open_store
from repod.records import read_records
from repod.repodata import modules, updateinfo
from repod.repodata.listing import named, packages
from repod.rpmfile.pool import RpmWorkers
from repod.rpmfile.signatures import head
from repod.selection import near
from repod.times import stamp
from repod.wiring import pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository as it is now, and as far as it is remembered."""

    repository: Repository
    store: Store
    generation: Generation | None
    past: Past

    @property
    def name(self) -> str:
        """Its name."""
        return self.repository.name

    def listed(self, name: str) -> list[Package]:
        """The packages of that name that it lists now."""
        return list(named(self.store, self.generation, name)) if self.generation else []


def open_place(settings: Settings, name: str) -> Place:
    """The repository of that name; nothing of it is changed."""
    repository = settings.named(name)
    store = open_store(settings, repository)
    records, _ = read_records(store)
    past = Past(kept=records.kept, book=Ledger(store, pause).all())
    return Place(repository=repository, store=store, generation=records.current, past=past)


def builds_of(place: Place, word: str) -> list[Build]:
    """The builds of that NEVRA; ``NotFound`` names what is alike."""
    try:
        nevra = Nevra.parse(word)
    except ValueError:
        found = []
    else:
        found = place.past.builds(nevra, place.listed(nevra.name)) or list(_lying(place, nevra))
    if found:
        return found
    known = {one.nevra for generation in place.past.kept for one in (*generation.added, *generation.removed)}
    known |= {one.nevra for one in place.past.book.values()}
    if place.generation:
        known |= {package.nevra for package in packages(place.store, place.generation)}
    msg = f"nothing is known of {word!r} in {place.name}; {near(word, list(known))}"
    raise NotFound(msg)


def _lying(place: Place, nevra: Nevra) -> Iterator[Build]:
    """A file of that NEVRA that lies in the store, though nothing speaks of it."""
    for stored in place.store.list(nevra.location):
        if stored.path == nevra.location:
            digest = hashlib.sha256()
            for piece in place.store.stream(stored.path):
                digest.update(piece)
            pkgid = sha256(digest.hexdigest())
            package = Package(nevra=nevra, pkgid=pkgid, size=stored.size, href=stored.path)
            yield Build(
                nevra=nevra,
                pkgid=pkgid,
                package=package,
                listed=False,
                ranges=(),
                since=None,
                went=None,
                came=None,
            )


Ask = Callable[[Place, Package], Head | None]
"""What the head of a stored package says; None where it is not there or cannot be read."""


def open_heads(rpms: RpmWorkers, folder: Path) -> Ask:
    """What reads heads of packages, by ``rpms``; ``folder`` is a private one."""

    def ask(place: Place, package: Package) -> Head | None:
        headers = Headers(store=place.store, rpms=rpms, changelogs=0, workspace=folder)
        try:
            with headers.copy(package) as copy:
                return rpms.run(head, copy)
        except (NotFound, Unreadable):
            return None

    return ask


class Story:
    """All that is known of one build."""

    def __init__(
        self, settings: Settings, place: Place, build: Build, *, look: Callable[[str], Place], ask: Ask, warn: Warn
    ) -> None:
        """``look`` opens any repository of the settings; ``warn`` hears of what cannot be looked at."""
        self._settings = settings
        self._place = place
        self._build = build
        self._look = look
        self._ask = ask
        self._warn = warn
        self._head = ask(place, build.package) if build.package else None

    def row(self) -> dict[str, Any]:
        """It, for a machine."""
        build, known, package = self._build, self._build.known, self._build.package
        there = self._head is not None
        return {
            "package": str(build.nevra),
            "listed": build.listed,
            "since": _change(build.since) if build.since else None,
            "went": _change(build.went) if build.went else None,
            "came": [_coming(where, coming) for where, coming in way(self._place.name, build, self._past)],
            "signed": [{"key": s.key, "time": stamp(s.created)} for s in self._head.signatures] if self._head else [],
            "sha256": build.pkgid,
            "header_sha256": self._head.header_sha256 if self._head else None,
            "size": package.size if package else None,
            "path": package.href if package else None,
            "stored": there,
            "generations": [list(run) for run in build.ranges],
            "elsewhere": self._elsewhere(),
            "labels": {label: _mark(mark) for label, mark in known.labels.items()} if known else {},
            "pin": _mark(known.pin) if known and known.pin else None,
            "module": self._modules(),
            "advisories": self._advisories(),
        }

    def _past(self, name: str) -> Past | None:
        known = any(repository.name == name for repository in self._settings.repository)
        return self._look(name).past if known else None

    def _elsewhere(self) -> dict[str, str]:
        """What other repositories list under this NEVRA, by their names."""
        found: dict[str, str] = {}
        for repository in self._settings.repository:
            if repository.name == self._place.name:
                continue
            try:
                other = self._look(repository.name)
                for package in other.listed(self._build.nevra.name):
                    if package.nevra == self._build.nevra:
                        found[repository.name] = self._alike(other, package)
            except RepodError as error:
                self._warn(f"{repository.name} cannot be looked at: {error}")
        return found

    def _alike(self, other: Place, package: Package) -> str:
        if package.pkgid == self._build.pkgid:
            return "the same bytes"
        theirs = self._ask(other, package)
        if theirs is None or self._head is None:
            return "other bytes"
        same = theirs.header_sha256 == self._head.header_sha256
        return "the same build, signed otherwise" if same else "another build"

    def _modules(self) -> list[str]:
        data = self._document(modules.TYPE)
        return [":".join(stream) for stream in sorted(modules.artifacts(data).get(self._build.nevra, ()))]

    def _advisories(self) -> list[str]:
        data = self._document(updateinfo.TYPE)
        return updateinfo.about(data, self._build.nevra) if data else []

    def _document(self, kind: str) -> bytes:
        """The plain text of a document of the current generation; empty where there is none that is sound."""
        generation = self._place.generation
        document = generation.document(kind) if generation else None
        if generation is None or document is None:
            return b""
        try:
            return read_carried(self._place.store, document, generation.view)
        except (Corrupt, NotFound) as error:
            self._warn(f"{kind} is not shown: {error}")
            return b""


def _change(generation: Generation) -> dict[str, Any]:
    return {
        "generation": generation.number,
        "time": stamp(generation.time),
        "actor": generation.actor,
        "why": generation.why,
        "sources": sorted({one.of.rpartition("@")[0] for one in generation.origins if one.how == "promotion"}),
    }


def _coming(where: str, coming: Coming) -> dict[str, Any]:
    origin = coming.origin
    return {
        "repository": where,
        "generation": coming.generation,
        "time": stamp(coming.time),
        "actor": coming.actor,
        "why": coming.why,
        "how": origin.how,
        "of": origin.of,
        "checksum": origin.checksum,
    }


def _mark(mark: Mark) -> dict[str, str]:
    return {"actor": mark.actor, "time": stamp(mark.time), "why": mark.why}
