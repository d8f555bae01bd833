"""What changes for hosts between two contents of a repository, or of two repositories. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from repod.package import Nevra, Package

KINDS: Sequence[str] = ("added", "removed", "upgraded", "downgraded", "replaced")
"""What becomes of the newest build of a name."""

_ANYWHERE = "noarch"
_SOURCES = ("src", "nosrc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is compared: the packages, each carried document's checksum by its type, each advisory's text by its id."""

    packages: Sequence[Package]
    documents: Mapping[str, str] = field(default_factory=dict)
    advisories: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a host of one architecture sees of a name: its newest build before and after; None where there is none."""

    before: Package | None
    after: Package | None

    @property
    def kind(self) -> str:
        """One of ``KINDS``; ``replaced`` is another build that ranks the same."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        old, new = self.before.nevra.rank, self.after.nevra.rank
        if old == new:
            return "replaced"
        return "upgraded" if old < new else "downgraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Ids of what came, went, and is there with another text."""

    came: Sequence[str] = ()
    went: Sequence[str] = ()
    changed: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.came or self.went or self.changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``steps`` in order of name; ``came`` and ``went`` are builds that are not the newest of their name.

    ``documents`` are types of carried documents.
    """

    steps: Sequence[Step]
    came: Sequence[Package]
    went: Sequence[Package]
    advisories: Lists
    documents: Lists

    def of(self, kind: str) -> Sequence[Step]:
        """The steps of one of ``KINDS``."""
        return [step for step in self.steps if step.kind == kind]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.steps or self.came or self.went or self.advisories or self.documents)


def compare(before: Content, after: Content) -> Comparison:
    """What differs between two contents.

    Hosts of an architecture see its builds and those for any (``noarch``) as one line of builds, so a
    package that moved from one to the other is upgraded or downgraded, not removed and added.
    Where a build lies does not matter; its bytes do.
    """
    steps = list(_steps(before.packages, after.packages))
    old, new = _by_bytes(before.packages), _by_bytes(after.packages)
    shown = {_bytes(end) for step in steps for end in (step.before, step.after) if end}
    return Comparison(
        steps=steps,
        came=_rest(new, old, shown),
        went=_rest(old, new, shown),
        advisories=_lists(before.advisories, after.advisories),
        documents=_lists(before.documents, after.documents),
    )


_Bytes = tuple[Nevra, str]


def _bytes(package: Package) -> _Bytes:
    return package.nevra, package.pkgid


def _by_bytes(packages: Iterable[Package]) -> dict[_Bytes, Package]:
    return {_bytes(package): package for package in packages}


def _rest(here: Mapping[_Bytes, Package], there: Mapping[_Bytes, Package], shown: set[_Bytes]) -> list[Package]:
    return sorted((here[key] for key in here.keys() - there.keys() - shown), key=_order)


def _order(package: Package) -> tuple[str, str, bytes, str]:
    return package.nevra.name, package.nevra.arch, package.nevra.rank, package.nevra.version


def _steps(before: Iterable[Package], after: Iterable[Package]) -> Iterator[Step]:
    old, new = _by_name(before), _by_name(after)
    for name in sorted(old.keys() | new.keys()):
        here, there = old.get(name, ()), new.get(name, ())
        seen = set[tuple[_Bytes | None, _Bytes | None]]()
        for arch in _lines(here, there):
            step = Step(before=_newest(here, arch), after=_newest(there, arch))
            ends = (_bytes(step.before) if step.before else None, _bytes(step.after) if step.after else None)
            if ends[0] != ends[1] and ends not in seen:
                seen.add(ends)
                yield step


def _by_name(packages: Iterable[Package]) -> dict[str, list[Package]]:
    ordered = sorted(packages, key=_order)
    return {name: list(group) for name, group in groupby(ordered, key=lambda package: package.nevra.name)}


def _lines(before: Iterable[Package], after: Iterable[Package]) -> list[str]:
    """The architectures whose hosts see the name: those of its builds, and any only where there is no other."""
    arches = {package.nevra.arch for package in (*before, *after)}
    return sorted(arches - {_ANYWHERE} if arches - {_ANYWHERE, *_SOURCES} else arches)


def _newest(packages: Iterable[Package], arch: str) -> Package | None:
    """What ranks highest of what hosts of ``arch`` see; of equal ranks, what is for ``arch`` alone."""
    seen = {arch} if arch in _SOURCES else {arch, _ANYWHERE}
    fit = [package for package in packages if package.nevra.arch in seen]
    return max(fit, key=lambda p: (p.nevra.rank, p.nevra.arch == arch, p.nevra.version), default=None)


def _lists(before: Mapping[str, object], after: Mapping[str, object]) -> Lists:
    return Lists(
        came=sorted(after.keys() - before.keys()),
        went=sorted(before.keys() - after.keys()),
        changed=sorted(key for key in before.keys() & after.keys() if before[key] != after[key]),
    )
