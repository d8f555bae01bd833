"""What is told of generations, arrivals and faults: from what is known to an event, the same wherever it is made."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from repod.generation import Generation
from repod.happenings import Event, Kind
from repod.package import REMEDIES, Fault, Origin, Package, trace

LISTED = 500
"""Builds that an event names at the most, of those that came and of those that went: one turn brings no more."""


def published(repository: str, generation: Generation, documents: Sequence[str]) -> Event:
    """A generation is current; ``documents`` are the types of those it brought, changed or took away."""
    data = {
        "generation": generation.number,
        "parent": generation.parent,
        "actor": generation.actor,
        "why": generation.why,
        "packages": generation.packages,
        "added": [_added(package, origin) for package, origin in generation.came[:LISTED]],
        "removed": [_build(package) for package in generation.removed[:LISTED]],
        "added_total": len(generation.added),
        "removed_total": len(generation.removed),
        "documents": list(documents),
    }
    # The time belongs to it: a store that was emptied counts from 1 again.
    name = _id(Kind.PUBLISHED, repository, generation.number, generation.time)
    return Event(kind=Kind.PUBLISHED, repository=repository, id=name, time=generation.time, data=data)


def rejected(
    repository: str, *, file: str, checksum: str, package: str, faults: Sequence[Fault], place: str, time: float
) -> Event:
    """An arrival was refused, and lies at ``place`` now. ``checksum`` and ``package`` are empty where unread."""
    data = {
        "file": file,
        "sha256": checksum,
        "trace": trace(checksum),
        "package": package,
        "faults": said_of(faults),
        "place": place,
    }
    name = _id(Kind.REJECTED, repository, file, checksum, int(time))
    return Event(kind=Kind.REJECTED, repository=repository, id=name, time=time, data=data)


def waiting(repository: str, *, file: str, checksum: str, why: str, time: float) -> Event:
    """An arrival cannot be taken in now; it is tried again."""
    data = {"file": file, "sha256": checksum, "trace": trace(checksum), "why": why}
    name = _id(Kind.WAITING, repository, file, checksum, why, int(time))
    return Event(kind=Kind.WAITING, repository=repository, id=name, time=time, data=data)


def failing(repository: str, *, problem: str, time: float) -> Event:
    """Turns fail; they are tried again."""
    name = _id(Kind.FAILING, repository, problem, int(time))
    return Event(kind=Kind.FAILING, repository=repository, id=name, time=time, data={"problem": problem})


def recovered(repository: str, *, problem: str, time: float) -> Event:
    """``problem``, of which ``failing`` told last, is over."""
    name = _id(Kind.RECOVERED, repository, problem, int(time))
    return Event(kind=Kind.RECOVERED, repository=repository, id=name, time=time, data={"problem": problem})


def said_of(faults: Sequence[Fault]) -> Sequence[Mapping[str, str]]:
    """What is told of faults: each with ``code``, ``text`` and ``remedy``."""
    return [{"code": one.code, "text": one.text, "remedy": REMEDIES.get(one.code, "")} for one in faults]


def _added(package: Package, origin: Origin) -> Mapping[str, Any]:
    """``sha256`` and ``file`` are those of the upload, empty where the build did not come as one."""
    return {
        **_build(package),
        "how": origin.how,
        "sha256": origin.checksum,
        "trace": trace(origin.checksum),
        "file": origin.of if origin.how == "arrival" else "",
    }


def _build(package: Package) -> Mapping[str, Any]:
    return {"nevra": str(package.nevra), "pkgid": package.pkgid}


def _id(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "backslashreplace")).hexdigest()[:32]
