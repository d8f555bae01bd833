"""What a host is to do now, by what its ring says. Pure.

A host is in a phase by a number from 0 to 99 that its machine id and the ring's salt give it. So a higher percentage
only adds hosts, and another build begins with other ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from repod.hosts.agent.document import Build, Ring, stamp
from repod.windows import Window

ANYWHERE = "noarch"
Installed = Mapping[str, Sequence[Build]]
"""What is installed, by name; what was installed last is the last."""


@dataclass(frozen=True)
class Decision:
    """What to do: ``act`` on ``wanted``, or why nothing is done.

    ``what``: act, current, nothing, paused, held, unchecked, phase or window. ``until``: when a phase begins for this
    host, seconds since 1970.
    """

    what: str
    text: str
    wanted: Sequence[Build] = ()
    until: float | None = None


@dataclass(frozen=True)
class Here:
    """This host, as far as it decides: its id and architecture, what is installed, and what its settings say.

    ``held``: what failed here before, and is not tried again. ``checks``: whether there is a health check.
    """

    machine: str
    arch: str
    installed: Installed
    install: Collection[str] = ()
    windows: Sequence[Window] = ()
    held: Collection[str] = ()
    checks: bool = False


def number(machine: str, salt: str) -> int:
    """The number of a host, 0 to 99."""
    return int.from_bytes(_hash(machine, salt)[:8], "big") % 100


def offset(machine: str, salt: str, spread: float) -> float:
    """How many seconds after a phase has begun this host begins."""
    return int.from_bytes(_hash(machine, salt)[8:16], "big") / 2**64 * spread


def _hash(machine: str, salt: str) -> bytes:
    return hashlib.sha256(f"{machine}\n{salt}".encode()).digest()


def starts(ring: Ring, machine: str) -> float | None:
    """When this host begins; None where it is in no phase yet."""
    own = number(machine, ring.salt)
    for phase in ring.phases:
        if own < phase.percent:
            return phase.since + offset(machine, ring.salt, ring.spread)
    return None


def meant(ring: Ring, here: Here) -> Sequence[Build]:
    """Which of the ring's builds are for this host: of its architecture, and installed or to be."""
    found: dict[str, Build] = {}
    for build in ring.builds:
        here_too = build.name in here.installed or any(fnmatchcase(build.name, one) for one in here.install)
        if here_too and build.arch in {here.arch, ANYWHERE} and (build.arch == here.arch or build.name not in found):
            found[build.name] = build
    return tuple(found.values())


def runs(build: Build, installed: Installed) -> bool:
    """Whether a build is what is installed, by NEVRA and digest of the header.

    Of several that rpm lists, as a transaction that was cut short leaves them, the one that was installed last is.
    """
    there = [
        one for one in installed.get(build.name, ()) if build.arch == one.arch or ANYWHERE in {build.arch, one.arch}
    ]
    return there[-1:] == [build]


def decide(ring: Ring, here: Here, now: float) -> Decision:
    """What to do at ``now``."""
    wanted = meant(ring, here)
    if not wanted:
        names = ", ".join(sorted({build.name for build in ring.builds}))
        return Decision("nothing", f"nothing of this ring is installed ({names}); name in install what should be")
    left = [build for build in wanted if not runs(build, here.installed)]
    said = ", ".join(map(str, wanted))
    if not left:
        return Decision("current", f"runs {said}", wanted)
    return (
        _kept(ring, here, wanted, said)
        or _awaited(ring, here, wanted, now)
        or Decision("act", f"to run {said}", wanted)
    )


def _kept(ring: Ring, here: Here, wanted: Sequence[Build], said: str) -> Decision | None:
    """What keeps this host from it until somebody changes something."""
    held = bool(set(map(identity, wanted)) & set(here.held))
    reasons = (
        ("held", held, f"{said} failed here, and is not tried again until the ring names something else"),
        ("paused", ring.paused, f"the ring is paused; it names {said}"),
        (
            "unchecked",
            ring.check and not here.checks,
            f"the ring is for hosts with a health check; set check for {said}",
        ),
    )
    return next((Decision(what, text, wanted) for what, stands, text in reasons if stands), None)


def _awaited(ring: Ring, here: Here, wanted: Sequence[Build], now: float) -> Decision | None:
    """What this host waits for."""
    said = ", ".join(map(str, wanted))
    begin = starts(ring, here.machine)
    if begin is None:
        percent = ring.phases[-1].percent if ring.phases else 0
        mine = number(here.machine, ring.salt)
        return Decision("phase", f"{said}: {percent} % of hosts so far, this one is number {mine} of 0 to 99", wanted)
    if now < begin:
        return Decision("phase", f"{said}: this host begins at {stamp(begin)}", wanted, begin)
    for whose, windows in (("the ring", ring.windows), ("this host", here.windows)):
        if windows and not any(window.is_open(now) for window in windows):
            return Decision("window", f"{said}: no maintenance window of {whose} is open", wanted)
    return None


def identity(build: Build) -> str:
    """What is remembered of a build that failed."""
    return f"{build} {build.header_sha256}"
