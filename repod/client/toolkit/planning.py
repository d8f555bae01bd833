"""What has to change on a host so that it runs what is wanted, and whether it does. Pure."""

from collections.abc import Sequence

from repod.client.fleet import Action, HostFault, Installed, Trouble, Wanted
from repod.client.toolkit.asked import Change
from repod.client.toolkit.facts import Facts
from repod.package import Nevra


def own(builds: Sequence[Wanted], facts: Facts) -> Sequence[Wanted]:
    """The builds that this host takes: of its own architecture or noarch, one for each name.

    ``HostFault`` NOT_OFFERED where a name has none.
    """
    found: dict[str, Wanted] = {}
    for build in builds:
        nevra = build.nevra
        if not facts.takes(nevra.arch):
            continue
        other = found.get(nevra.name)
        if other is None or (nevra.rank, nevra.arch != "noarch") > (other.nevra.rank, other.nevra.arch != "noarch"):
            found[nevra.name] = build
    if missing := {build.nevra.name for build in builds} - set(found):
        names = ", ".join(sorted(missing))
        arches = ", ".join(sorted({build.nevra.arch for build in builds if build.nevra.name in missing}))
        text = f"no build of {names} for {facts.arch}: there are some for {arches}; build it for this host too"
        raise HostFault(Trouble.NOT_OFFERED, text)
    return list(found.values())


def change(action: Action, wanted: Sequence[Wanted], installed: Sequence[Installed]) -> Change:
    """What is left to do; all empty where the host runs what is wanted.

    ``update`` does not go down, and ``sync`` installs nothing new: ``HostFault`` FAILED where a host runs a newer
    build than an update wants.
    """
    found: dict[str, list[Nevra]] = {"installs": [], "ups": [], "downs": [], "again": []}
    for build in wanted:
        kind = _kind(build, installed)
        if kind == "installs" and action == "sync":
            continue
        if kind == "downs" and action == "update":
            there = ", ".join(str(one.nevra) for one in _beside(build, installed))
            text = f"runs {there}, newer than {build.nevra}, and an update does not go down; downgrade or sync does"
            raise HostFault(Trouble.FAILED, text)
        if kind:
            found[kind].append(build.nevra)
    follows = sorted(one.name for kind in ("ups", "downs") for one in found[kind]) if action == "sync" else []
    return Change(
        installs=found["installs"], ups=found["ups"], downs=found["downs"], again=found["again"], follows=follows
    )


def back(before: Sequence[Installed], installed: Sequence[Installed]) -> Change:
    """What brings a host back to what it ran ``before``: what was not there then, goes."""
    again = change("downgrade", [_as_wanted(one) for one in before], installed)
    kept = {one.nevra.name for one in before}
    return Change(
        installs=again.installs,
        ups=again.ups,
        downs=again.downs,
        again=again.again,
        removes=sorted({one.nevra.name for one in installed} - kept),
    )


def unproven(wanted: Sequence[Wanted], installed: Sequence[Installed]) -> Sequence[str]:
    """What the host runs else than wanted, one line for each build; empty where it is proven."""
    return [line for build in wanted if (line := _fault(build, installed))]


def unproven_back(before: Sequence[Installed], installed: Sequence[Installed]) -> Sequence[str]:
    """The same for what it ran before: what was not there then must not be there now."""
    kept = {one.nevra.name for one in before}
    more = [f"still has {one.nevra}" for one in installed if one.nevra.name not in kept]
    return [*unproven([_as_wanted(one) for one in before], installed), *more]


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


def _as_wanted(one: Installed) -> Wanted:
    return Wanted(nevra=one.nevra, header_sha256=one.header_sha256)


def _beside(build: Wanted, installed: Sequence[Installed]) -> Sequence[Installed]:
    """What is installed under that name and would give way; other architectures stay beside it, noarch does not."""
    nevra = build.nevra
    return [
        one
        for one in installed
        if one.nevra.name == nevra.name and (one.nevra.arch == nevra.arch or "noarch" in {one.nevra.arch, nevra.arch})
    ]


def _kind(build: Wanted, installed: Sequence[Installed]) -> str:
    there = _beside(build, installed)
    if not there:
        return "installs"
    same = [one for one in there if one.nevra == build.nevra]
    if same:
        digests = {one.header_sha256 for one in same}
        return "" if _same(build.header_sha256, digests) else "again"
    return "downs" if max(one.nevra.rank for one in there) > build.nevra.rank else "ups"


def _same(wanted: str, digests: set[str]) -> bool:
    return not wanted or "" in digests or wanted in digests


def _fault(build: Wanted, installed: Sequence[Installed]) -> str:
    same = [one for one in installed if one.nevra == build.nevra]
    if same and _same(build.header_sha256, {one.header_sha256 for one in same}):
        return ""
    if same:
        return (
            f"runs another build of {build.nevra}: header digest {same[0].header_sha256[:12]}…,"
            f" expected {build.header_sha256[:12]}…"
        )
    found = ", ".join(str(one.nevra) for one in installed if one.nevra.name == build.nevra.name)
    return f"runs {found or f'no {build.nevra.name}'}, expected {build.nevra}"
