"""What has to change on a host so that it runs what is wanted, and whether it does. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from repod.client.fleet import Action, HostFault, Installed, Trouble, Wanted
from repod.client.toolkit.asked import Change
from repod.client.toolkit.facts import Facts
from repod.package import Nevra


def own(builds: Sequence[Wanted], facts: Facts) -> Sequence[Wanted]:
    """The builds that this host takes: of its own architecture or noarch, one for each name.

    And those of another architecture that it has the package in beside that, as x86_64 has i686: left behind, it would
    be of another version, and files that both have would be in each other's way. ``HostFault`` NOT_OFFERED where a
    name has none of its own.
    """
    found: dict[str, Wanted] = {}
    more: dict[tuple[str, str], Wanted] = {}
    others = {(one.nevra.name, one.nevra.arch) for one in facts.installed}
    for build in builds:
        nevra = build.nevra
        if not facts.takes(nevra.arch):
            key = (nevra.name, nevra.arch)
            if key in others and (key not in more or nevra.rank > more[key].nevra.rank):
                more[key] = build
            continue
        other = found.get(nevra.name)
        if other is None or (nevra.rank, nevra.arch != "noarch") > (other.nevra.rank, other.nevra.arch != "noarch"):
            found[nevra.name] = build
    if missing := {build.nevra.name for build in builds} - set(found):
        names = ", ".join(sorted(missing))
        arches = ", ".join(sorted({build.nevra.arch for build in builds if build.nevra.name in missing}))
        text = f"no build of {names} for {facts.arch}: there are some for {arches}; build it for this host too"
        raise HostFault(Trouble.NOT_OFFERED, text)
    return [*found.values(), *more.values()]


def change(action: Action, wanted: Sequence[Wanted], installed: Sequence[Installed]) -> Change:
    """What is left to do; all empty where the host runs what is wanted.

    ``update`` does not go down, and ``sync`` installs nothing new: ``HostFault`` FAILED where a host runs a newer
    build than an update wants.
    """
    return _change(action, [(build, installed) for build in wanted])


def _change(action: Action, each: Iterable[tuple[Wanted, Sequence[Installed]]]) -> Change:
    found = defaultdict[str, list[Nevra]](list)
    for build, installed in each:
        kind = _kind(build, installed)
        newer = _newer(build.nevra, installed)
        if newer and action == "update":
            there = ", ".join(map(str, newer))
            text = f"runs {there}, newer than {build.nevra}, and an update does not go down; downgrade or sync does"
            raise HostFault(Trouble.FAILED, text)
        if kind == "beside" and action == "downgrade":
            # A package tool has nothing to do there. The newer one has replaced files of this one.
            found["leftovers"] += newer
            kind = "again"
        if kind and not (kind == "installs" and action == "sync"):
            found["downs" if kind == "beside" else kind].append(build.nevra)
    return Change(
        installs=found["installs"],
        ups=found["ups"],
        downs=found["downs"],
        again=found["again"],
        follows=sorted(one.name for one in (*found["ups"], *found["downs"])) if action == "sync" else [],
        leftovers=list(dict.fromkeys(found["leftovers"])),
    )


def back(before: Sequence[Installed], installed: Sequence[Installed]) -> Change:
    """What brings a host back to what it ran ``before``: what was not there then, goes."""
    again = _change("downgrade", _each(before, installed))
    return replace(again, removes=sorted({one.nevra.name for one in installed} - {one.nevra.name for one in before}))


def unproven(wanted: Sequence[Wanted], installed: Sequence[Installed]) -> Sequence[str]:
    """What the host runs else than wanted, one line for each build; empty where it is proven."""
    return [line for build in wanted if (line := _fault(build, installed))]


def unproven_back(before: Sequence[Installed], installed: Sequence[Installed]) -> Sequence[str]:
    """The same for what it ran before: what was not there then must not be there now."""
    kept = {one.nevra.name for one in before}
    more = [f"still has {one.nevra}" for one in installed if one.nevra.name not in kept]
    return [*(line for build, there in _each(before, installed) if (line := _fault(build, there))), *more]


def undigested(wanted: Sequence[Wanted], installed: Sequence[Installed]) -> bool:
    """Whether some build is proven by its NEVRA alone, as rpm on the host or the record has no digest."""
    digests = {one.nevra: one.header_sha256 for one in installed}
    return any(not (build.header_sha256 and digests.get(build.nevra)) for build in wanted)


def newest(offered: Sequence[Nevra], installed: Sequence[Installed], facts: Facts) -> Sequence[Nevra]:
    """The newest build that is offered of each package that is installed."""
    there = {one.nevra.name for one in installed}
    found: dict[str, Nevra] = {}
    for nevra in offered:
        other = found.get(nevra.name)
        if nevra.name in there and facts.takes(nevra.arch) and (other is None or nevra.rank > other.rank):
            found[nevra.name] = nevra
    return sorted(found.values(), key=lambda nevra: nevra.order)


def _each(before: Sequence[Installed], installed: Sequence[Installed]) -> Iterator[tuple[Wanted, Sequence[Installed]]]:
    """Each build that was there, and what is installed but for the others that were: kernels stand side by side."""
    was = {one.nevra for one in before}
    for build in before:
        there = [one for one in installed if one.nevra == build.nevra or one.nevra not in was]
        yield Wanted(nevra=build.nevra, header_sha256=build.header_sha256), there


def _newer(nevra: Nevra, installed: Sequence[Installed]) -> Sequence[Nevra]:
    """What is installed instead of a build, or beside it, and newer.

    rpm lists both where a transaction was cut short between putting the new one in place and taking the old one away,
    and of packages that stay side by side, as kernels do. What then runs is the newer one.
    """
    return [one.nevra for one in _beside(nevra, installed) if one.nevra.rank > nevra.rank]


def _beside(nevra: Nevra, installed: Sequence[Installed]) -> Sequence[Installed]:
    """What is installed under that name and would give way; other architectures stay beside it, noarch does not."""
    return [
        one
        for one in installed
        if one.nevra.name == nevra.name and (one.nevra.arch == nevra.arch or "noarch" in {one.nevra.arch, nevra.arch})
    ]


def _kind(build: Wanted, installed: Sequence[Installed]) -> str:
    there = _beside(build.nevra, installed)
    if not there:
        return "installs"
    newer = _newer(build.nevra, installed)
    digests = {one.header_sha256 for one in there if one.nevra == build.nevra}
    if not digests:
        return "downs" if newer else "ups"
    if newer:
        return "beside"
    return "" if _same(build.header_sha256, digests) else "again"


def _same(wanted: str, digests: set[str]) -> bool:
    return not wanted or "" in digests or wanted in digests


def _fault(build: Wanted, installed: Sequence[Installed]) -> str:
    same = [one for one in installed if one.nevra == build.nevra]
    if same and (newer := _newer(build.nevra, installed)):
        return f"has {', '.join(map(str, newer))} beside {build.nevra}, expected that alone"
    if same and _same(build.header_sha256, {one.header_sha256 for one in same}):
        return ""
    if same:
        return (
            f"runs another build of {build.nevra}: header digest {same[0].header_sha256[:12]}…,"
            f" expected {build.header_sha256[:12]}…"
        )
    found = ", ".join(str(one.nevra) for one in installed if one.nevra.name == build.nevra.name)
    return f"runs {found or f'no {build.nevra.name}'}, expected {build.nevra}"
