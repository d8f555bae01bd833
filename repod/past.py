"""What is known of the builds of a repository over time: by its records, and by its ledger beyond those. Read only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from repod.generation import Generation
from repod.ledger import Book, Coming, Known, comings
from repod.package import Nevra, Package, Sha256

Range = tuple[int, int]
"""First and last of a run of generations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """These bytes of a NEVRA.

    ``package`` is as it is, or was, listed; None where no kept record tells. ``ranges`` are the kept
    generations that list it, newest first; ``since`` is the generation from which on it is listed without a
    gap, None where it is not listed now, or from before the oldest kept one; ``went`` is the one that took it
    out, where it is not listed and that is kept. ``came`` is how it came first.
    """

    nevra: Nevra
    pkgid: Sha256
    package: Package | None
    listed: bool
    ranges: Sequence[Range]
    since: Generation | None
    went: Generation | None
    came: Coming | None
    known: Known | None = None


@dataclass(frozen=True, kw_only=True)
class Past:
    """A repository over time. ``kept`` are its generations, newest first; ``book`` is its ledger's."""

    kept: Sequence[Generation]
    book: Book = field(default_factory=dict)

    def coming(self, pkgid: Sha256) -> Coming | None:
        """How a build came first; what the ledger holds is from before the records that are kept."""
        known = self.book.get(pkgid)
        return (known.came if known else None) or self._comings.get(pkgid)

    @cached_property
    def _comings(self) -> Mapping[Sha256, Coming]:
        return comings(self.kept)

    def builds(self, nevra: Nevra, listed: Iterable[Package]) -> list[Build]:
        """Every build of a NEVRA that is known, the listed one first, then the newest.

        ``listed`` are packages that the current generation lists, at least those of that name.
        """
        now = {package.pkgid: package for package in listed if package.nevra == nevra}
        found: dict[Sha256, Package | None] = dict(now)
        for generation in self.kept:
            for package in (*generation.added, *generation.removed):
                if package.nevra == nevra:
                    found.setdefault(package.pkgid, package)
        for known in self.book.values():
            if known.nevra == nevra:
                found.setdefault(known.pkgid, None)
        builds = [self._build(nevra, pkgid, package, listed=pkgid in now) for pkgid, package in found.items()]
        return sorted(builds, key=lambda build: (build.listed, build.ranges[:1], build.pkgid), reverse=True)

    def _build(self, nevra: Nevra, pkgid: Sha256, package: Package | None, *, listed: bool) -> Build:
        ranges = listings(self.kept, pkgid, listed=listed)
        numbers = {generation.number: generation for generation in self.kept}
        first, last = ranges[0] if ranges else (0, 0)
        begun, ended = numbers.get(first), numbers.get(last + 1)
        added = begun is not None and any(one.pkgid == pkgid for one in begun.added)
        return Build(
            nevra=nevra,
            pkgid=pkgid,
            package=package,
            listed=listed,
            ranges=ranges,
            since=begun if listed and added else None,
            went=None if listed else ended,
            came=self.coming(pkgid),
            known=self.book.get(pkgid),
        )


def listings(kept: Sequence[Generation], pkgid: Sha256, *, listed: bool) -> list[Range]:
    """The kept generations that list a build, newest first; ``listed``: whether the newest one does."""
    ranges: list[Range] = []
    last = kept[0].number if kept else 0
    for generation in kept:
        came = any(package.pkgid == pkgid for package in generation.added)
        went = any(package.pkgid == pkgid for package in generation.removed)
        if came == went:  # or it only moved to another place
            continue
        if came:
            ranges.append((generation.number, last))
        else:
            last = generation.number - 1
        listed = went
    if listed and kept:
        ranges.append((kept[-1].number, last))
    return ranges


def way(name: str, build: Build, look: Callable[[str], Past | None]) -> list[tuple[str, Coming]]:
    """How a build came into repository ``name``, then into the one it was promoted from, and so on.

    ``look``: a repository by its name; None where it is not known. It ends where nothing more is known.
    """
    found: list[tuple[str, Coming]] = []
    coming = build.came
    while coming is not None and name not in {seen for seen, _ in found}:
        found.append((name, coming))
        name = coming.origin.of.rpartition("@")[0] if coming.origin.how == "promotion" else ""
        past = look(name) if name else None
        coming = _coming(past, build) if past else None
    return found


def _coming(past: Past, build: Build) -> Coming | None:
    """How a build came there, under the same bytes; else, where it was signed anew on its way, by its NEVRA."""
    others = (other.came for other in past.builds(build.nevra, ()) if other.came)
    return past.coming(build.pkgid) or next(others, None)
