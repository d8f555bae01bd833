"""Which builds hosts run and other repositories list: pure, in words that retention gives as reasons."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from repod.builds import HostReport
from repod.errors import Unavailable
from repod.package import Nevra
from repod.rings import Ring
from repod.wording import few

Needs = Mapping[Nevra, Sequence[str]]
"""Why each of some builds is needed."""

RUNS, BACK, REPORT, LISTED = "runs on host", "would be downgraded to on host", "report of host", "listed by repository"
"""How texts begin that name hosts, and how those do that end with the name of a repository."""

_DAY = 86400.0
_UNITS = ((_DAY, "d"), (3600.0, "h"), (60.0, "min"))
_SHOWN = 3
# rpm lists imported keys as packages without an architecture.
_KEY = "gpg-pubkey-"
_ANYWHERE = "noarch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What hosts run of some builds; ``notes`` name the reports that are too old to count."""

    needs: Needs
    notes: Sequence[str]


def by_hosts(builds: Iterable[Nevra], reports: Iterable[HostReport], *, now: float, max_age: float) -> Running:
    """Which of ``builds`` the hosts run, or would be downgraded to, by reports not older than ``max_age`` seconds.

    A line without an epoch is a build of any epoch. ``Unavailable`` where a report is not what
    ``rpm -qa`` prints, since what it should have said is not known.
    """
    lines: dict[str, list[Nevra]] = defaultdict(list)
    for nevra in builds:
        for text in as_reported(nevra):
            lines[text].append(nevra)
    run: dict[Nevra, dict[str, str]] = defaultdict(dict)
    back: dict[Nevra, dict[str, str]] = defaultdict(dict)
    notes, sound, fresh = [], set[str](), set[str]()
    for report in sorted(reports, key=lambda report: -report.time):
        age = now - report.time
        if age > max_age:
            # The same host may report in two ways, of which it has given up one.
            if report.host not in fresh:
                text = f"{REPORT} {report.host} is {_words(age)} old, and counts for {_words(max_age)}: ignored"
                notes.append(f"{text}; remove it if that host is gone")
            continue
        _prove(report, sound)
        fresh.add(report.host)
        for found, said in ((run, report.lines), (back, report.previous)):
            for nevra in (nevra for line in said for nevra in lines.get(line, ())):
                found[nevra].setdefault(report.host, f"{report.host} (reported {_words(age)} ago)")
    needs = joined(
        {nevra: [f"{RUNS}{_many(names)}"] for nevra, names in run.items()},
        {nevra: [f"{BACK}{_many(names)}"] for nevra, names in back.items()},
    )
    return Running(needs=needs, notes=sorted(notes))


def by_repositories(builds: Collection[Nevra], listed: Mapping[str, Collection[Nevra]]) -> Needs:
    """Which of ``builds`` other repositories list; ``listed`` is by their names."""
    return {
        nevra: [f"{LISTED} {name}" for name in names]
        for nevra in builds
        if (names := [name for name, there in listed.items() if nevra in there])
    }


def by_rings(builds: Collection[Nevra], rings: Mapping[str, Ring]) -> Needs:
    """Which of ``builds``, all that a repository lists, its rings name, or would have hosts go back to."""
    found: dict[Nevra, list[str]] = defaultdict(list)
    listed = defaultdict(list)
    for nevra in builds:
        listed[nevra.name].append(nevra)
    for name, ring in rings.items():
        named = [build.nevra for build in ring.builds]
        for nevra in named:
            found[nevra].append(f"ring {name} names it")
        back = dict.fromkeys(ring.before, f"ring {name} named it before: hosts go back to it")
        for nevra in named:
            for older in _next_older(nevra, listed[nevra.name]):
                back.setdefault(older, f"ring {name} names {nevra}: hosts go back from it to this one")
        for nevra, text in back.items():
            if nevra not in named:
                found[nevra].append(text)
    there = set(builds)
    return {nevra: texts for nevra, texts in found.items() if nevra in there}


def _next_older(nevra: Nevra, same: Iterable[Nevra]) -> Sequence[Nevra]:
    """The newest of the builds of that name before it, for the same hosts: one, or one of each architecture."""
    older = [one for one in same if one.rank < nevra.rank and _meet(one.arch, nevra.arch)]
    newest = max((one.rank for one in older), default=b"")
    return [one for one in older if one.rank == newest]


def _meet(one: str, other: str) -> bool:
    return one == other or _ANYWHERE in {one, other}


def joined(*needs: Needs) -> Needs:
    """All reasons for each build."""
    found: dict[Nevra, list[str]] = defaultdict(list)
    for one in needs:
        for nevra, texts in one.items():
            found[nevra] += texts
    return found


def as_reported(nevra: Nevra) -> set[str]:
    """A build in the forms in which rpm, yum and dnf write it."""
    rest = f"{nevra.version}-{nevra.release}.{nevra.arch}"
    epochs = {"", f"{nevra.epoch}:"} | (set() if nevra.epoch else {"(none):"})
    return {f"{nevra.name}-{epoch}{rest}" for epoch in epochs}


def _prove(report: HostReport, sound: set[str]) -> None:
    """Look at each line that was not in a sound report before."""
    if not report.lines:
        msg = f"report of host {report.host} is empty; expected what rpm -qa prints: write it again"
        raise Unavailable(msg)
    said = {*report.lines, *report.previous}
    for line in said - sound:
        if not line.startswith(_KEY):
            try:
                Nevra.parse(line.replace("-(none):", "-", 1))
            except ValueError as error:
                msg = f"report of host {report.host}: expected lines as rpm -qa prints them, found {line!r}"
                raise Unavailable(msg) from error
    sound.update(said)


def _many(hosts: Mapping[str, str]) -> str:
    """``s web1, web2 and 3 more``: what follows ``host``."""
    return f"{'s' if len(hosts) > 1 else ''} {few(list(hosts.values()), _SHOWN)}"


def _words(seconds: float) -> str:
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"
