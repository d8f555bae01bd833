"""What a change makes of a ring: which of its hosts are in, and since when. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from repod.office import By
from repod.rings import ALL, Phase, Ring, RingBuild, RingChange


def changed(
    name: str,
    before: Ring | None,
    builds: Sequence[RingBuild],
    change: RingChange,
    *,
    by: By,
    serial: int,
    now: int,
) -> Ring:
    """The ring after ``change``; ``before`` is None where there is none yet. ``builds`` are those of its ``names``.

    Where it gets other builds all begins anew, with another choice of hosts to be the first. Made twice, it is the
    same ring.
    """
    ring = before or Ring(builds=())
    percent = ring.percent
    if builds and tuple(builds) != tuple(ring.builds):
        percent = ALL
        names, new = {build.nevra.name for build in builds}, {build.nevra for build in builds}
        gone = [build.nevra for build in ring.builds if build.nevra.name in names and build.nevra not in new]
        ring = replace(ring, builds=tuple(builds), before=tuple(gone), phases=(), salt=f"{name}/{serial}")
    given = {
        key: value for key in ("spread", "on_failure", "check", "paused") if (value := getattr(change, key)) is not None
    }
    if change.windows is not None:
        given["windows"] = tuple(change.windows)
    phases = _phases(ring.phases, percent if change.percent is None else change.percent, now)
    return replace(ring, **given, phases=phases, changed=now, actor=by.actor, why=by.why)


def _phases(before: Sequence[Phase], percent: int, now: int) -> Sequence[Phase]:
    """Those before that let in fewer, and this one: who was let in before keeps his turn."""
    kept = [phase for phase in before if phase.percent <= percent]
    if kept and kept[-1].percent == percent:
        return tuple(kept)
    return (*kept, Phase(percent=percent, since=now))
