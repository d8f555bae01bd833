"""Which builds of one repository are to be added to another, what that does on hosts, and what keeps them out.

Pure: what is listed, what is known of it, and the gates of the target give the verdict on each build,
with every reason why it is refused.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from math import ceil

from repod.builds import Built
from repod.package import Nevra, Package
from repod.wording import few

_ANYWHERE = "noarch"
_SOURCES = ("src", "nosrc")
_SHOWN = 10
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_NEVR = re.compile(r"(.+)-(?:([0-9]+):)?([^-:]+)-([^-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a target demands, as ``[repository.promotion]`` says it; ``force`` opens that against downgrades alone."""

    sources: Sequence[str] = ()
    min_age: float = 0.0
    label: str = ""
    dependencies: bool = False
    replace: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A build that is meant, and what is known of it.

    ``package`` is as the source lists it, ``since`` when that listed it (seconds since 1970); it is unused
    where no age is demanded. ``faults`` keep it out whatever the gates say: of its file, its signature,
    the target's acceptance. ``unmet`` is what it requires and hosts could not get.
    """

    package: Package
    since: float = 0.0
    labels: Collection[str] = ()
    faults: Sequence[str] = ()
    unmet: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a build is for hosts of the target.

    ``kind``: ``new``, ``upgrade``, ``downgrade``, ``replacement`` (ranks the same) or ``older`` (a newer one
    comes along, or is there and this one is not the newest that comes). ``of``: the newest one listed.
    """

    kind: str
    of: Nevra | None = None

    def __str__(self) -> str:
        """As one says it."""
        words = {"new": "new", "upgrade": "upgrade from", "downgrade": "downgrade from"}
        words |= {"replacement": "instead of", "older": "older than"}
        return f"{words[self.kind]} {self.of.evr}" if self.of else words[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The verdict on one build: the gates it ``passed``, those that are ``shut``, and what each says, a line each."""

    package: Package
    effect: Effect
    passed: Sequence[str]
    shut: Sequence[str]
    refused: Sequence[str]


# ---------------------------------------------------------------- which builds are meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The builds that are meant, in order of name, and what was asked for and is not there, a line each."""

    builds: Sequence[Built]
    missing: Sequence[str]


def choose(listed: Sequence[Built], specs: Iterable[str], arches: Collection[str], where: str) -> Chosen:
    """What ``specs`` mean: each a NEVRA, a NAME-EVR, or a NAME, which is its newest build.

    Where no architecture is said, all of ``arches`` that there are are meant, and source packages are
    not. ``where`` says whose builds are ``listed``.
    """
    found: dict[Nevra, Built] = {}
    missing = []
    by_name: dict[str, list[Built]] = {}
    for build in listed:
        by_name.setdefault(build.package.nevra.name, []).append(build)
    for spec in dict.fromkeys(specs):
        meant = _meant(by_name, spec, arches)
        found |= {build.package.nevra: build for build in meant}
        if not meant:
            missing.append(f"{spec}: not in {where}; {_there(by_name, spec)}")
    return Chosen(builds=_sorted(found.values()), missing=missing)


def _meant(by_name: Mapping[str, Sequence[Built]], spec: str, arches: Collection[str]) -> Sequence[Built]:
    for name in _names(spec):
        exact = [build for build in by_name.get(name, ()) if str(build.package.nevra) == spec]
        if exact:
            return exact
    for name in _names(spec):
        same = [build for build in by_name.get(name, ()) if _is_evr(build.package.nevra, spec)]
        if same:
            return _of_arches(same, arches)
    builds = _of_arches(by_name.get(spec, ()), arches)
    newest = max((build.package.nevra.rank for build in builds), default=b"")
    return [build for build in builds if build.package.nevra.rank == newest]


def _names(spec: str) -> Iterator[str]:
    """The names that a spec may begin with."""
    parts = spec.split("-")
    return ("-".join(parts[:end]) for end in range(len(parts), 0, -1))


def _is_evr(nevra: Nevra, spec: str) -> bool:
    match = _NEVR.fullmatch(spec)
    if match is None or (match[1], match[3], match[4]) != (nevra.name, nevra.version, nevra.release):
        return False
    return match[2] is None or int(match[2]) == nevra.epoch


def _of_arches(builds: Sequence[Built], arches: Collection[str]) -> Sequence[Built]:
    """Those for hosts of the target; where there are none, all, so that it is said why they may not come."""
    binaries = [build for build in builds if build.package.nevra.arch not in _SOURCES] or builds
    return [build for build in binaries if build.package.nevra.arch in arches] or binaries


def _there(by_name: Mapping[str, Sequence[Built]], spec: str) -> str:
    """What there is instead."""
    for name in _names(spec):
        if name in by_name:
            builds = sorted(by_name[name], key=lambda build: build.package.nevra.rank, reverse=True)
            return f"of {name} it lists: {few([str(build.package.nevra) for build in builds], _SHOWN)}"
    alike = get_close_matches(spec, by_name, n=_SHOWN, cutoff=0.6)
    alike += [name for name in sorted(by_name) if spec.lower() in name.lower() and name not in alike]
    if alike:
        return f"names like it: {few(alike, _SHOWN)}"
    return f"it lists: {few(sorted(by_name), _SHOWN)}" if by_name else "it lists nothing"


def siblings(listed: Iterable[Built], chosen: Sequence[Built], arches: Collection[str]) -> list[Built]:
    """``chosen`` and all that was built from the same source packages for ``arches``."""
    sources = {build.source_rpm or build.package.nevra.filename for build in chosen}
    found = {build.package.nevra: build for build in chosen}
    for build in listed:
        nevra = build.package.nevra
        if nevra.arch in arches and (build.source_rpm or nevra.filename) in sources:
            found[nevra] = build
    return _sorted(found.values())


def _sorted(builds: Iterable[Built]) -> list[Built]:
    return sorted(builds, key=lambda build: build.package.nevra.order)


# ---------------------------------------------------------------- what it does, and whether it may


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where builds are to come: its name, what it lists, its gates, and the time (seconds since 1970)."""

    name: str
    listed: Mapping[Nevra, Package]
    gates: Gates
    now: float
    newest: dict[tuple[str, str], Nevra] = field(init=False, default_factory=dict)
    """By name and architecture, the newest build that hosts see."""

    def __post_init__(self) -> None:
        """Find the newest."""
        for nevra in self.listed:
            key = nevra.name, nevra.arch
            if key not in self.newest or nevra.rank > self.newest[key].rank:
                self.newest[key] = nevra

    def seen(self, nevra: Nevra) -> Nevra | None:
        """The newest listed build that hosts see in one line with this one: a name may move between arches."""
        if nevra.arch in _SOURCES:
            arches: Iterable[str] = (nevra.arch,)
        elif nevra.arch == _ANYWHERE:
            arches = (arch for name, arch in self.newest if name == nevra.name and arch not in _SOURCES)
        else:
            arches = (nevra.arch, _ANYWHERE)
        found = [self.newest[nevra.name, arch] for arch in arches if (nevra.name, arch) in self.newest]
        return max(found, key=lambda other: other.rank, default=None)


def refused_source(source: str, target: str, gates: Gates) -> str:
    """Why nothing may come from ``source``; empty where it may."""
    if not gates.sources or source in gates.sources:
        return ""
    allowed = ", ".join(gates.sources)
    return f"{target} takes builds from {allowed} only, not from {source} ([repository.promotion] from)"


def decide(
    candidates: Sequence[Candidate], source: str, target: Target, *, whole: Collection[Nevra] = ()
) -> list[Move]:
    """The verdict on each.

    ``whole``: all builds of a generation that comes as a whole, those that are there already too; empty
    where single builds are meant. Then older builds come beside newer ones, and only where the newest of
    a name is older than what hosts have would they be led back.
    """
    best: dict[tuple[str, str], bytes] = {}
    for nevra in whole:
        best[nevra.name, nevra.arch] = max(best.get((nevra.name, nevra.arch), b""), nevra.rank)
    return [_move(candidate, best, source, target) for candidate in candidates]


def _move(candidate: Candidate, best: Mapping[tuple[str, str], bytes], source: str, target: Target) -> Move:
    nevra = candidate.package.nevra
    effect = _effect(nevra, target.seen(nevra), best.get((nevra.name, nevra.arch), b""))
    verdicts = dict(_verdicts(candidate, effect, source, target))
    refused = [f"{nevra}: {text}" for texts in verdicts.values() for text in texts]
    return Move(
        package=candidate.package,
        effect=effect,
        passed=[gate for gate, texts in verdicts.items() if not texts],
        shut=[gate for gate, texts in verdicts.items() if texts],
        refused=refused,
    )


def _effect(nevra: Nevra, seen: Nevra | None, best: bytes) -> Effect:
    if seen is None:
        return Effect(kind="new")
    if seen.rank == nevra.rank:
        return Effect(kind="replacement", of=seen)
    if seen.rank < nevra.rank:
        return Effect(kind="upgrade", of=seen)
    return Effect(kind="older" if best >= seen.rank else "downgrade", of=seen)


def _verdicts(candidate: Candidate, effect: Effect, source: str, target: Target) -> Iterator[tuple[str, Sequence[str]]]:
    """Each gate that is asked, with why it stays shut for the build."""
    gates, nevra = target.gates, candidate.package.nevra
    yield "acceptance", candidate.faults
    if gates.min_age:
        yield "age", list(_age(candidate, source, target))
    if gates.label:
        has = gates.label in candidate.labels
        there = ", ".join(sorted(candidate.labels)) or "none"
        text = (
            f"has no label {gates.label} in {source}, found: {there} ([repository.promotion] label); "
            f"when it earned that: repod label {source} {nevra} {gates.label}"
        )
        yield "label", [] if has else [text]
    if gates.dependencies:
        yield "dependencies", [f"cannot be installed: {text}" for text in candidate.unmet]
    yield "bytes", list(_other(candidate, target))
    yield "downgrade", list(_downgrade(effect, target))


def _age(candidate: Candidate, source: str, target: Target) -> Iterator[str]:
    age = max(0.0, target.now - candidate.since)
    if age < target.gates.min_age:
        fit = datetime.fromtimestamp(ceil(candidate.since + target.gates.min_age), UTC)
        yield (
            f"listed in {source} for {spoken(age)}, expected at least {spoken(target.gates.min_age)} "
            f"([repository.promotion] min_age); try again after {fit:%Y-%m-%dT%H:%M:%SZ}"
        )


def _other(candidate: Candidate, target: Target) -> Iterator[str]:
    listed = target.listed.get(candidate.package.nevra)
    if listed and not target.gates.replace:
        yield (
            f"{target.name} lists other bytes under this NEVRA: sha256 {listed.pkgid}, "
            f"here {candidate.package.pkgid}; give the new build a higher release"
        )


def _downgrade(effect: Effect, target: Target) -> Iterator[str]:
    if effect.kind == "downgrade" and not target.gates.force:
        yield (
            f"{target.name} lists the newer {effect.of}: hosts that have it would not go back by themselves; "
            "to list it all the same: --force"
        )


def spoken(seconds: float) -> str:
    """A duration as people say it, in its two largest units: ``3d 4h``."""
    left, words = round(seconds), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
    return " ".join(words[:2]) or "0s"
