"""Rings, for hosts in pull mode: listed, changed, removed."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from repod.actions.means import Means
from repod.config import Settings
from repod.errors import Misconfigured, NotFound, Unfit
from repod.history import History
from repod.office import By, Deed
from repod.package import Package, Sha256
from repod.phasing import changed
from repod.places import open_store
from repod.promotion import choose
from repod.repodata.listing import StoredListings
from repod.ringing import Rings
from repod.rings import ALL, ROLLOUT, Ring, RingBuild, RingChange, RolloutFile, envelope, read, row
from repod.rpmfile.signatures import head
from repod.times import stamp
from repod.windows import Window
from repod.wiring import open_rings
from repod.workplace import Workplace

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def rings(settings: Settings, name: str) -> dict[str, Any]:
    """The rings of a repository as the API tells them; no key is needed for that."""
    store = open_store(settings, settings.named(name))
    try:
        data = store.read(ROLLOUT).data
    except NotFound:
        return {"repository": name, "serial": None, "issued": None, "expires": None, "rings": []}
    file = read(envelope(data).document)
    return {
        "repository": name,
        "serial": file.serial,
        "issued": stamp(file.issued),
        "expires": stamp(file.expires),
        "rings": [{"ring": ring, **row(one)} for ring, one in sorted(file.rings.items())],
    }


def change_ring(means: Means, name: str, ring: str, change: RingChange, by: By) -> Deed:
    """Change a ring, or make it; see ``Deeds.ring``."""
    _check(ring, change)
    with means.workplace(name) as work:
        builds = _builds(work, change.names) if change.names else ()

        def edit(known: Mapping[str, Ring], serial: int) -> Mapping[str, Ring]:
            before = known.get(ring)
            if before is None and not builds:
                msg = f"there is no ring {ring!r} in {name}; name the builds that its hosts are to run"
                raise NotFound(msg)
            return {**known, ring: changed(ring, before, builds, change, by=by, serial=serial, now=int(time.time()))}

        file = _rings_of(work).change(edit)
    return _told(name, ring, file)


def remove_ring(means: Means, name: str, ring: str) -> Deed:
    """Remove a ring: its hosts stay as they are."""
    with means.workplace(name) as work:
        tried = False

        def edit(known: Mapping[str, Ring], _serial: int) -> Mapping[str, Ring]:
            nonlocal tried
            if ring not in known and not tried:
                msg = f"there is no ring {ring!r} in {name}; there are: {', '.join(sorted(known)) or 'none'}"
                raise NotFound(msg)
            tried = True
            return {other: one for other, one in known.items() if other != ring}

        file = _rings_of(work).change(edit)
    facts = {"serial": file.serial, "expires": stamp(file.expires)}
    rows = [{"ring": ring, "result": "removed", "serial": file.serial}]
    return Deed(repository=name, generation=None, rows=rows, facts=facts, text=f"ring {ring} removed")


def _rings_of(work: Workplace) -> Rings:
    return open_rings(work.repository, work.store, work.signer)


def _told(name: str, ring: str, file: RolloutFile) -> Deed:
    one = file.rings[ring]
    builds = " ".join(str(build.nevra) for build in one.builds)
    said = "paused" if one.paused else f"{one.percent} %"
    return Deed(
        repository=name,
        generation=None,
        rows=[{"ring": ring, **row(one)}],
        facts={"serial": file.serial, "expires": stamp(file.expires)},
        text=f"ring {ring}: {builds}, {said}",
    )


def _check(ring: str, change: RingChange) -> None:
    faults = []
    if not _NAME.fullmatch(ring):
        faults.append(f"ring: expected letters, digits, '_', '.' and '-', a letter or digit first; found {ring!r}")
    if change.percent is not None and not 0 <= change.percent <= ALL:
        faults.append(f"percent: expected 0 to 100, found {change.percent}")
    for text in change.windows or ():
        try:
            Window.parse(text)
        except ValueError as error:
            faults.append(f"window: {error}")
    if faults:
        raise Misconfigured(*faults)


def _builds(work: Workplace, names: Sequence[str]) -> Sequence[RingBuild]:
    """The builds that are meant, each with the digest of its header."""
    current = History(work.store).current()
    listed = list(StoredListings(work.store).listed(current)) if current else []
    chosen = choose(listed, names, work.repository.arches, work.repository.name)
    packages = [built.package for built in chosen.builds]
    if chosen.missing:
        raise NotFound("\n".join(chosen.missing))
    twice = {(one.nevra.name, one.nevra.arch) for one in packages}
    if len(twice) != len(packages):
        msg = f"expected one build of each name and arch, found {' '.join(str(one.nevra) for one in packages)}"
        raise Unfit(msg)
    return [RingBuild(nevra=one.nevra, header_sha256=_header(work, one)) for one in packages]


def _header(work: Workplace, package: Package) -> Sha256:
    with work.headers.copy(package) as copy:
        return work.rpms.run(head, copy).header_sha256
