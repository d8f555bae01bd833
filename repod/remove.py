"""Builds leave the metadata; their files stay for hosts that still ask for them, until prune."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from repod.comparison import Content, Step, compare
from repod.doors import Change, Repodata
from repod.errors import Conflict, Refused
from repod.generation import Generation
from repod.ledger import Ledger
from repod.package import Nevra, Package
from repod.publish import Publisher
from repod.rings import Ring
from repod.selection import select

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is taken out of ``on``. ``seen``: where the newest build of a name goes, so that hosts keep it."""

    on: Generation
    gone: Sequence[Package]
    seen: Sequence[Step]


class Removing:
    """Takes builds of one repository out of its metadata."""

    def __init__(
        self,
        *,
        repository: str,
        repodata: Repodata,
        publisher: Publisher,
        ledger: Ledger,
        pause: Callable[[int], None],
        rings: Callable[[], Mapping[str, Ring]] = dict,
    ) -> None:
        """``repository`` is its name; ``pause`` as in ``Publisher``: between two tries after a lost race.

        ``rings`` reads those there are.
        """
        self._repository = repository
        self._repodata = repodata
        self._publisher = publisher
        self._ledger = ledger
        self._pause = pause
        self._rings = rings

    def plan(self, words: Sequence[str]) -> Plan:
        """What would be done; nothing is written.

        ``words`` as in ``select``. ``NotFound`` as there; ``Refused`` names each that is pinned, or that a ring names.
        """
        on = self._publisher.refresh()
        if on is None:
            msg = f"nothing was ever published in {self._repository}"
            raise Refused(msg)
        listed = list(self._repodata.packages())
        gone = select(listed, words, self._repository)
        lines = [*self._pinned(gone), *self._ringed(gone)]
        if lines:
            raise Refused("\n".join(lines))
        left = set(listed) - set(gone)
        steps = compare(Content(packages=listed), Content(packages=list(left))).steps
        return Plan(on=on, gone=gone, seen=steps)

    def run(self, words: Sequence[str], *, actor: str, why: str) -> tuple[Plan, Generation]:
        """Publish; the plan that was carried out, and the generation without those builds.

        Where another writer was faster, it is planned again for the builds that were found first.
        """
        wanted = words
        for attempt in range(_ATTEMPTS):
            plan = self.plan(wanted)
            nevras = [package.nevra for package in plan.gone]
            with contextlib.suppress(Conflict):
                text = f"{_in_words(nevras)} removed" + (f": {why}" if why else "")
                change = Change(removed=nevras)
                return plan, self._publisher.publish(change, actor=actor, why=text, on=plan.on.number)
            # A pattern must not take what came meanwhile.
            wanted = [str(nevra) for nevra in nevras]
            self._pause(attempt)
        msg = f"other writers published {_ATTEMPTS} times meanwhile; try again later"
        raise Conflict(msg)

    def _pinned(self, packages: Sequence[Package]) -> Iterator[str]:
        known = self._ledger.all()
        pins = [(package, known[package.pkgid].pin) for package in packages if package.pkgid in known]
        for package, pin in pins:
            if pin:
                why = f": {pin.why}" if pin.why else ""
                first = f"first: repod unpin {self._repository} {package.nevra}"
                yield f"{package.nevra} is pinned by {pin.actor}{why}; {first}"

    def _ringed(self, packages: Sequence[Package]) -> Iterator[str]:
        """Hosts of a ring could not get what it names."""
        gone = {package.nevra for package in packages}
        for name, ring in self._rings().items():
            for nevra in [build.nevra for build in ring.builds if build.nevra in gone]:
                yield f"{nevra} is what ring {name} names; first: repod ring set {self._repository} {name} BUILD"


def _in_words(nevras: Sequence[Nevra]) -> str:
    return str(nevras[0]) if len(nevras) == 1 else f"{len(nevras)} packages"
