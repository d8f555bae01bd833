"""What is told of generations, arrivals and faults: from what is known to an event, the same wherever it is made."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from repod.doors import Expect
from repod.generation import Generation
from repod.happenings import Event, Kind
from repod.package import REMEDIES, Fault, Origin, Package, trace

if TYPE_CHECKING:  # its models take long to make
    from repod.reports import Reported

LISTED = 500
"""Builds that an event names at the most, of those that came and of those that went: one turn brings no more."""


def published(repository: str, generation: Generation, documents: Sequence[str], url: str = "") -> Event:
    """A generation is current; ``documents`` are the types of those it brought, changed or took away.

    ``url``: where hosts find the repository.
    """
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
        "url": url,
    }
    # The time belongs to it: a store that was emptied counts from 1 again.
    name = _id(Kind.PUBLISHED, repository, generation.number, generation.time)
    return Event(kind=Kind.PUBLISHED, repository=repository, id=name, time=generation.time, data=data)


def missed(repository: str, first: int, last: int, time: float, url: str = "") -> Event:
    """Generations ``first`` to ``last`` were published and pruned before anybody could be told of them."""
    data = {"first": first, "last": last, "url": url}
    name = _id(Kind.MISSED, repository, first, last, time)
    return Event(kind=Kind.MISSED, repository=repository, id=name, time=time, data=data)


def rejected(
    repository: str,
    *,
    file: str,
    mark: str,
    checksum: str,
    package: str,
    faults: Sequence[Fault],
    place: str,
    time: float,
) -> Event:
    """An arrival is refused; ``place`` is where it goes. ``checksum`` and ``package`` are empty where unread.

    ``mark`` as in ``doors.Arrival``: uploaded again, it is another arrival.
    """
    data = {
        "file": _printable(file),
        "sha256": checksum,
        "trace": trace(checksum),
        "package": package,
        "faults": said_of(faults),
        "place": _printable(place),
    }
    name = _id(Kind.REJECTED, repository, file, mark)
    return Event(kind=Kind.REJECTED, repository=repository, id=name, time=time, data=data)


def waiting(repository: str, *, file: str, checksum: str, why: str, time: float) -> Event:
    """An arrival cannot be taken in now; it is tried again."""
    data = {"file": _printable(file), "sha256": checksum, "trace": trace(checksum), "why": why}
    name = _id(Kind.WAITING, repository, file, checksum, why, time)
    return Event(kind=Kind.WAITING, repository=repository, id=name, time=time, data=data)


def pruned(repository: str, *, builds: int, objects: int, size: int, time: float) -> Event:
    """Retention was carried out: so many builds left the metadata, and objects of ``size`` bytes the store."""
    data = {"builds": builds, "objects": objects, "bytes": size}
    name = _id(Kind.PRUNED, repository, builds, objects, size, time)
    return Event(kind=Kind.PRUNED, repository=repository, id=name, time=time, data=data)


def failing(repository: str, *, problem: str, time: float) -> Event:
    """Turns fail; they are tried again."""
    name = _id(Kind.FAILING, repository, problem, time)
    return Event(kind=Kind.FAILING, repository=repository, id=name, time=time, data={"problem": problem})


def recovered(repository: str, *, problem: str, time: float) -> Event:
    """``problem``, of which ``failing`` told last, is over."""
    name = _id(Kind.RECOVERED, repository, problem, time)
    return Event(kind=Kind.RECOVERED, repository=repository, id=name, time=time, data={"problem": problem})


def rolled(repository: str, reported: "Reported", *, since: str | Expect, time: float) -> Event:
    """A rollout began or ended; ``since`` tells the report before this one from any other."""
    rollout = reported.rollout
    data = {
        **rollout.model_dump(mode="json", by_alias=True, exclude={"hosts"}),
        "reported_by": reported.reported_by,
        "hosts_total": len(rollout.hosts),
        "counts": dict(rollout.counts),
        "failed": [one.host for one in rollout.hosts if one.state == "failed"][:LISTED],
    }
    name = _id(Kind.ROLLOUT, repository, rollout.id, rollout.state, since)
    return Event(kind=Kind.ROLLOUT, repository=repository, id=name, time=time, data=data)


def test(repository: str, *, hook: str, time: float) -> Event:
    """Nothing happened: somebody wants to know whether events of ``hook`` arrive."""
    name = _id(Kind.TEST, repository, hook, time)
    return Event(kind=Kind.TEST, repository=repository, id=name, time=time, data={"hook": hook})


def _printable(text: str) -> str:
    """A name of any bytes as text that any receiver takes."""
    return text.encode("utf-8", "backslashreplace").decode()


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
