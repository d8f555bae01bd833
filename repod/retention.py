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
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import groupby
from typing import Self

import rpm_rs

from repod.builds import Stream
from repod.doors import Need
from repod.package import Nevra, Package, Sha256
from repod.wording import counted, few

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

    @classmethod
    def parse(cls, text: str) -> Self:
        """The pattern that the settings write as ``NAME = VERSION``."""
        name, _, version = text.partition("=")
        return cls(name=name.strip(), version=version.strip())

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
    return f"{counted(len(going), 'build')} beyond retention: {said}"


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
    cases = [_Case(build) for build in builds]
    judgement = _Judgement(cases, policy, now)
    if pins:
        for case in cases:
            if text := pins.get(case.build.package.pkgid):
                case.kept[text] = None
    for nevra, texts in (needs or {}).items():
        judgement.keep(nevra, texts)
    judgement.follow()
    while going := judgement.going:
        if not judgement.rescue(broken(going)):
            break
        judgement.follow()
    return Decision(verdicts=[case.verdict(policy) for case in cases])


class _Case:
    """One build, why it stays, and why it would go; ``mains`` are those whose fate it has."""

    __slots__ = ("build", "going", "kept", "mains")

    def __init__(self, build: Build) -> None:
        self.build = build
        self.kept: dict[str, None] = {}
        self.going: dict[str, None] = {}
        self.mains: Sequence[_Case] = ()

    def verdict(self, policy: Policy) -> Verdict:
        """What came out."""
        if self.kept:
            return Verdict(build=self.build, kept=True, why=tuple(self.kept))
        if self.mains:
            why = f"built with {few([str(main.build.nevra) for main in self.mains], 3)}, which nothing keeps"
            return Verdict(build=self.build, kept=False, why=(why,), rule=_FOLLOWING)
        return Verdict(build=self.build, kept=False, why=tuple(self.going), rule=f"beyond {policy}")


class _Judgement:
    """Finds the reasons for and against each build."""

    def __init__(self, cases: Sequence[_Case], policy: Policy, now: float) -> None:
        self._policy = policy
        self._now = now
        self._cases = cases
        self._followers = _followers(cases)
        for label, line in _lines(cases, policy):
            self._count(label, line)

    @cached_property
    def _by_nevra(self) -> Mapping[Nevra, _Case]:
        return {case.build.nevra: case for case in self._cases}

    @property
    def going(self) -> list[Nevra]:
        """Those that nothing keeps."""
        return [case.build.nevra for case in self._cases if not case.kept]

    def keep(self, nevra: Nevra, texts: Iterable[str]) -> None:
        """It stays, for these reasons."""
        if case := self._by_nevra.get(nevra):
            case.kept.update(dict.fromkeys(texts))

    def follow(self) -> None:
        """Source and debug packages of what stays stay."""
        for case in self._followers:
            staying = next((main for main in case.mains if main.kept), None)
            if staying:
                case.kept[f"built with {staying.build.nevra}, which stays"] = None

    def rescue(self, needs: Iterable[Need]) -> bool:
        """Keep the newest provider of each need that no build that stays meets; whether there was one."""
        rescued = False
        for need in needs:
            providers = [self._by_nevra[nevra] for nevra in need.providers if nevra in self._by_nevra]
            if not providers:
                continue
            newest = max(providers, key=lambda case: case.build.rank)
            new = not any(case.kept for case in providers)
            if new or newest.kept:
                newest.kept[f"{need.package} requires {need.requirement}"] = None
            rescued = rescued or new
        return rescued

    def _count(self, label: str, line: Sequence[_Case]) -> None:
        """Give each build of a line, newest first, the reasons of its place in it."""
        policy, keep = self._policy, max(1, self._policy.keep)
        versions = _versions(line) if policy.keep_versions else [0] * len(line)
        for place, (case, version) in enumerate(zip(line, versions, strict=True), start=1):
            rules = [(place <= keep, f"{_nth(place)}newest of {label}: keep = {keep}")]
            if policy.keep_versions:
                text = f"of the {_nth(version)}newest version of {label}: keep_versions = {policy.keep_versions}"
                rules.append((version <= policy.keep_versions, text))
            if policy.keep_days:
                days = (self._now - case.build.since) / DAY
                text = f"listed for {counted(max(0, int(days)), 'day')}: keep_days = {policy.keep_days:g}"
                rules.append((days < policy.keep_days, text))
            for holds, text in rules:
                (case.kept if holds else case.going)[text] = None


def _followers(cases: Sequence[_Case]) -> list[_Case]:
    """The source and debug packages of which something that was built with them is listed too, joined to that."""
    mains = defaultdict(list)
    followers = []
    for case in cases:
        build = case.build
        if build.is_source or build.is_debug:
            followers.append(case)
        elif build.source_rpm:
            mains[build.family].append(case)
    for case in followers:
        case.mains = mains.get(case.build.family, ())
    return [case for case in followers if case.mains]


def _lines(cases: Iterable[_Case], policy: Policy) -> Iterator[tuple[str, list[_Case]]]:
    """Every line, newest build first, and what it is called; what has the fate of others stands in none."""
    arches = set[str]()
    groups: dict[tuple[str, bool, Stream | None, Pattern | None], dict[str, list[_Case]]] = {}
    for case in cases:
        build, nevra = case.build, case.build.nevra
        source = build.is_source
        if not source:
            arches.add(nevra.arch)
        if case.mains:
            continue
        pattern = next((pattern for pattern in policy.lines if pattern.matches(nevra)), None)
        for stream in build.streams or (None,):
            group = groups.setdefault((nevra.name, source, stream, pattern), {})
            group.setdefault("src" if source else nevra.arch, []).append(case)
    for (name, _, stream, pattern), by_arch in groups.items():
        for arch, line in _of_arches(by_arch, arches - {_NOARCH}):
            label = f"{name}.{arch}" + (f" of {':'.join(stream)}" if stream else "")
            line.sort(key=lambda case: case.build.rank, reverse=True)
            yield (f"{label} ({pattern})" if pattern else label), line


def _of_arches(by_arch: Mapping[str, list[_Case]], listed: Collection[str]) -> Iterator[tuple[str, list[_Case]]]:
    """The line of each architecture that the repository lists, once where it is the same for several."""
    neutral = by_arch.get(_NOARCH, [])
    own = by_arch.keys() - {_NOARCH}
    for arch in sorted(own):
        yield arch, [*by_arch[arch], *(neutral if arch != "src" else ())]
    if neutral and (not own or set(listed) - own):
        # Hosts of the other architectures find these only.
        yield _NOARCH, [*neutral]


def _versions(line: Sequence[_Case]) -> list[int]:
    """Of each build, whether its version is the line's newest (1), the next (2), and so on."""
    same = groupby(line, key=lambda case: case.build.version)
    return [place for place, (_, builds) in enumerate(same, start=1) for _ in builds]


def _nth(number: int) -> str:
    """``2nd `` of 2; nothing of 1."""
    if number == 1:
        return ""
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending} "
