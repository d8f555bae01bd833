"""What a retention policy promises, written anew from the words of the promise: the oracle of the simulated year.

It shares no code with ``repod.retention``. Two builds are compared by rpm-rs' own comparison of EVRs.

- The newest ``keep`` builds of a name stay; source packages count apart; a name that moved between noarch
  and x86_64 is one name.
- A build that is pinned, that a host runs or would be downgraded to, or that another repository lists, stays.
- What a build that stays requires, stays.
- Source and debug packages stay exactly as long as one of the packages that were built with them.
"""

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import rpm_rs

from repod.package import Nevra


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What CI knows of a package: its source RPM, and the names it needs in its own EVR."""

    source: str
    requires: Sequence[str]


def promised(listed: Mapping[Nevra, Facts], keep: int, needed: Iterable[Nevra]) -> set[Nevra]:
    """Of the builds that are ``listed``, those that must stay; ``needed`` are pinned, run or listed elsewhere."""
    mains = defaultdict(set)
    for nevra, facts in listed.items():
        if not _follows(nevra):
            mains[facts.source].add(nevra)
    alone = [nevra for nevra, facts in listed.items() if not (_follows(nevra) and mains[facts.source])]
    staying = {nevra for nevra in needed if nevra in listed}
    for line in _lines(alone).values():
        staying.update(sorted(line, key=functools.cmp_to_key(_compare), reverse=True)[:keep])
    following = [nevra for nevra in listed if _follows(nevra)]
    while True:
        more = set(_required(listed, staying)) - staying
        more.update(nevra for nevra in following if not mains[listed[nevra].source].isdisjoint(staying))
        if more <= staying:
            return staying
        staying |= more


def _follows(nevra: Nevra) -> bool:
    return nevra.arch == "src" or nevra.name.endswith(("-debuginfo", "-debugsource"))


def _lines(nevras: Iterable[Nevra]) -> Mapping[tuple[str, bool], list[Nevra]]:
    lines = defaultdict(list)
    for nevra in nevras:
        lines[nevra.name, nevra.arch == "src"].append(nevra)
    return lines


def _required(listed: Mapping[Nevra, Facts], staying: Iterable[Nevra]) -> Iterator[Nevra]:
    for nevra in staying:
        for name in listed[nevra].requires:
            for arch in ("x86_64", "noarch"):
                need = Nevra(name=name, epoch=nevra.epoch, version=nevra.version, release=nevra.release, arch=arch)
                if need in listed:
                    yield need


def _compare(one: Nevra, two: Nevra) -> int:
    a, b = (rpm_rs.Evr(str(nevra.epoch), nevra.version, nevra.release) for nevra in (one, two))
    return -1 if a < b else int(a > b)
