"""Which builds a repository keeps: pure, with every reason in words.

Builds are counted in lines: one for each name, architecture (source packages apart), module stream
and pattern of the settings. What is noarch stands in the lines of all architectures, so that a name
that moved between noarch and one of them is one line. Within a line builds stand by rpm's order,
newest first. A build stays if anything keeps it: the rules of the settings, in any of its lines; a
pin; a host or another repository that needs it; a build that stays and requires it. Source and
debug packages have the fate of the packages that were built with them.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import groupby

import rpm_rs

from repod.builds import Stream
from repod.doors import Need
from repod.package import Nevra, Package, Sha256

DAY = 86400.0
_SOURCE = {"src", "nosrc"}
_NOARCH = "noarch"
# With what follows, such as in kernel-debuginfo-common-x86_64.
_DEBUG = re.compile(r".+-(?:debuginfo|debugsource)(?:-.+)?")
_STEM = re.compile(r"(.+)\.(?:src|nosrc)\.rpm")
_FOLLOWING = "with the packages they were built with"


@dataclass(frozen=True, kw_only=True)
class Build:
    """A listed build.

    ``source_rpm`` as in ``Built``. ``streams`` are the module streams it belongs to. ``since`` is when
    this repository listed it first, ``built`` when it was built, in seconds since 1970.
    """

    package: Package
    source_rpm: str = ""
    streams: frozenset[Stream] = frozenset()
    since: float = 0.0
    built: int = 0

    @property
    def nevra(self) -> Nevra:
        """What identifies it."""
        return self.package.nevra

    @cached_property
    def rank(self) -> tuple[object, ...]:
        """Sort key: rpm's order, and where that says equal, a fixed one."""
        return (self.nevra.rank, self.built, self.nevra.order)

    @cached_property
    def version(self) -> bytes:
        """Equal for versions that rpm ranks equal, whatever their release."""
        return bytes(rpm_rs.Evr(str(self.nevra.epoch), self.nevra.version, "").sortkey())

    @property
    def is_source(self) -> bool:
        """Whether it is a source package."""
        return self.nevra.arch in _SOURCE

    @property
    def is_debug(self) -> bool:
        """Whether it holds what debuggers read of others."""
        return not self.is_source and _DEBUG.fullmatch(self.nevra.name) is not None

    @property
    def family(self) -> str:
        """What it has in common with all that was built from the same source; empty where unknown."""
        if self.is_source:
            return f"{self.nevra.name}-{self.nevra.version}-{self.nevra.release}"
        match = _STEM.fullmatch(self.source_rpm)
        return match[1] if match else self.source_rpm


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Builds that are a line of their own: shell patterns of name and version."""

    name: str
    version: str

    def __str__(self) -> str:
        """As the settings have it."""
        return f"{self.name} = {self.version}"

    def matches(self, nevra: Nevra) -> bool:
        """Whether a build is of this line."""
        return fnmatchcase(nevra.name, self.name) and fnmatchcase(nevra.version, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the settings keep of each line, and the patterns of further lines.

    ``keep`` newest builds, one at the least; all builds of the ``keep_versions`` newest versions; what was
    listed first within ``keep_days``. 0 turns a rule off.
    """

    keep: int = 5
    keep_versions: int = 0
    keep_days: float = 0
    lines: Sequence[Pattern] = ()

    def __str__(self) -> str:
        """The rules that are on, as the settings name them."""
        rules = {"keep": max(1, self.keep), "keep_versions": self.keep_versions, "keep_days": self.keep_days}
        return " and ".join(f"{name} = {value:g}" for name, value in rules.items() if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a build stays, with every reason. ``rule`` sums up why one goes, the same text for many."""

    build: Build
    kept: bool
    why: Sequence[str]
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdicts on all builds, in the order in which those were given."""

    verdicts: Sequence[Verdict] = ()

    @property
    def going(self) -> Sequence[Verdict]:
        """Those on the builds that go."""
        return [verdict for verdict in self.verdicts if not verdict.kept]

    @property
    def summary(self) -> str:
        """How many go, and by which rules: for the record of the generation without them."""
        return summary(self.going)


def summary(going: Sequence[Verdict]) -> str:
    """``12 builds beyond retention: 9 beyond keep = 5, 3 with the packages they were built with``."""
    counts: dict[str, int] = defaultdict(int)
    for verdict in going:
        counts[verdict.rule] += 1
    said = ", ".join(f"{count} {rule}" for rule, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{len(going)} build{'' if len(going) == 1 else 's'} beyond retention: {said}"


Broken = Callable[[Collection[Nevra]], Sequence[Need]]
"""What the packages that stay would miss, were the given ones not listed."""


def decide(
    builds: Sequence[Build],
    policy: Policy,
    now: float,
    *,
    pins: Mapping[Sha256, str] | None = None,
    needs: Mapping[Nevra, Sequence[str]] | None = None,
    broken: Broken = lambda _going: (),
) -> Decision:
    """A verdict on each of ``builds``, all that a repository lists.

    ``pins`` says of pinned builds by whom and why, ``needs`` for what else builds are needed: hosts,
    other repositories. ``broken`` is asked again until nothing that stays misses anything that it had.
    """
    judgement = _Judgement(builds, policy, now)
    for build in builds:
        for text in ((pins or {}).get(build.package.pkgid), *(needs or {}).get(build.nevra, ())):
            if text:
                judgement.keep(build, text)
    judgement.follow()
    while going := judgement.going:
        if not judgement.rescue(broken(going)):
            break
        judgement.follow()
    return Decision(verdicts=[judgement.verdict(build) for build in builds])


@dataclass(slots=True)
class _Reasons:
    """Why a build stays, and why it would go."""

    kept: dict[str, None] = field(default_factory=dict)
    going: dict[str, None] = field(default_factory=dict)


class _Judgement:
    """The reasons for and against each build, as they are found."""

    def __init__(self, builds: Sequence[Build], policy: Policy, now: float) -> None:
        self._policy = policy
        self._now = now
        self._by_nevra = {build.nevra: build for build in builds}
        self._reasons = {build.nevra: _Reasons() for build in builds}
        main = defaultdict(list)
        for build in builds:
            if build.family and not (build.is_source or build.is_debug):
                main[build.family].append(build)
        self._followed = {
            build.nevra: main[build.family]
            for build in builds
            if (build.is_source or build.is_debug) and build.family in main
        }
        for label, line in _lines([build for build in builds if build.nevra not in self._followed], policy):
            self._count(label, line)

    @property
    def going(self) -> set[Nevra]:
        """Those that nothing keeps."""
        return {nevra for nevra, reasons in self._reasons.items() if not reasons.kept}

    def keep(self, build: Build, text: str) -> None:
        """It stays, for this reason."""
        self._reasons[build.nevra].kept[text] = None

    def verdict(self, build: Build) -> Verdict:
        """What came out."""
        reasons = self._reasons[build.nevra]
        if reasons.kept:
            return Verdict(build=build, kept=True, why=tuple(reasons.kept))
        mains = self._followed.get(build.nevra)
        if mains:
            why = f"built with {_some([str(main.nevra) for main in mains])}, which nothing keeps"
            return Verdict(build=build, kept=False, why=(why,), rule=_FOLLOWING)
        return Verdict(build=build, kept=False, why=tuple(reasons.going), rule=f"beyond {self._policy}")

    def follow(self) -> None:
        """Source and debug packages of what stays stay."""
        for nevra, mains in self._followed.items():
            staying = next((main for main in mains if self._reasons[main.nevra].kept), None)
            if staying:
                self.keep(self._by_nevra[nevra], f"built with {staying.nevra}, which stays")

    def rescue(self, needs: Iterable[Need]) -> bool:
        """Keep the newest provider of each need that no build that stays meets; whether there was one."""
        rescued = False
        for need in needs:
            providers = [self._by_nevra[nevra] for nevra in need.providers if nevra in self._by_nevra]
            if not providers:
                continue
            newest = max(providers, key=lambda build: build.rank)
            new = not any(self._reasons[build.nevra].kept for build in providers)
            if new or self._reasons[newest.nevra].kept:
                self.keep(newest, f"{need.package} requires {need.requirement}")
            rescued = rescued or new
        return rescued

    def _count(self, label: str, line: Sequence[Build]) -> None:
        """Give each build of a line, newest first, the reasons of its place in it."""
        policy, keep = self._policy, max(1, self._policy.keep)
        versions = groupby(line, key=lambda build: build.version)
        ranks = [rank for rank, (_, same) in enumerate(versions, start=1) for _ in same]
        for place, (build, version) in enumerate(zip(line, ranks, strict=True), start=1):
            reasons = self._reasons[build.nevra]
            rules = [(place <= keep, f"{_nth(place)}newest of {label}: keep = {keep}")]
            if policy.keep_versions:
                text = f"of the {_nth(version)}newest version of {label}: keep_versions = {policy.keep_versions}"
                rules.append((version <= policy.keep_versions, text))
            if policy.keep_days:
                days = (self._now - build.since) / DAY
                text = f"listed for {max(0, int(days))} days: keep_days = {policy.keep_days:g}"
                rules.append((days < policy.keep_days, text))
            for holds, text in rules:
                (reasons.kept if holds else reasons.going)[text] = None


def _lines(builds: Iterable[Build], policy: Policy) -> Iterator[tuple[str, list[Build]]]:
    """Every line, newest build first, and what it is called."""
    arches = set[str]()
    groups: dict[tuple[str, bool, Stream | None, Pattern | None], dict[str, list[Build]]] = {}
    for build in builds:
        name, arch = build.nevra.name, build.nevra.arch
        if not build.is_source:
            arches.add(arch)
        pattern = next((pattern for pattern in policy.lines if pattern.matches(build.nevra)), None)
        for stream in build.streams or (None,):
            group = groups.setdefault((name, build.is_source, stream, pattern), {})
            group.setdefault("src" if build.is_source else arch, []).append(build)
    for (name, _, stream, pattern), by_arch in groups.items():
        for arch, line in _of_arches(by_arch, arches - {_NOARCH}):
            label = f"{name}.{arch}" + (f" of {':'.join(stream)}" if stream else "")
            yield (f"{label} ({pattern})" if pattern else label), sorted(line, key=lambda b: b.rank, reverse=True)


def _of_arches(by_arch: Mapping[str, list[Build]], listed: Collection[str]) -> Iterator[tuple[str, list[Build]]]:
    """The line of each architecture that the repository lists, once where it is the same for several."""
    neutral = by_arch.get(_NOARCH, [])
    own = by_arch.keys() - {_NOARCH}
    for arch in sorted(own):
        yield arch, [*by_arch[arch], *(neutral if arch != "src" else ())]
    if neutral and (not own or set(listed) - own):
        # Hosts of the other architectures find these only.
        yield _NOARCH, neutral


def _nth(number: int) -> str:
    """``2nd `` of 2; nothing of 1."""
    if number == 1:
        return ""
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending} "


def _some(texts: Sequence[str], shown: int = 3) -> str:
    more = len(texts) - shown
    return ", ".join(texts[:shown]) + (f" and {more} more" if more > 0 else "")
