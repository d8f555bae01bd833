"""Hosts of the simulated year: each runs builds of some packages, updates now and then, and says what it runs."""

import random
from collections.abc import Iterable, Mapping, Sequence

from repod.builds import HostReport
from repod.doors import Clock
from repod.package import Nevra


class Host:
    """A host that runs one build of each of some names."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        self.name = name
        self._names = set(names)
        self._runs: dict[str, Nevra] = {}
        self._ran: dict[str, Nevra] = {}

    def update(self, draw: random.Random, listed: Iterable[Nevra]) -> None:
        """Install something that is listed of some of its names: seldom the newest of all."""
        for nevra in listed:
            if nevra.name in self._names and draw.random() < 0.3:
                before = self._runs.get(nevra.name)
                if before and before != nevra:
                    self._ran[nevra.name] = before
                self._runs[nevra.name] = nevra

    @property
    def runs(self) -> Sequence[Nevra]:
        """What is installed."""
        return list(self._runs.values())

    @property
    def ran(self) -> Sequence[Nevra]:
        """What it would be downgraded to."""
        return list(self._ran.values())


class Fleet:
    """All hosts of a repository, and their newest reports: ``HostReports``. Some hosts fall silent."""

    def __init__(self, clock: Clock, hosts: Sequence[Host], max_age: float) -> None:
        """``max_age``: seconds for which a report counts."""
        self.max_age = max_age
        self._clock = clock
        self._hosts = hosts
        self._reports: dict[str, tuple[float, Sequence[Nevra], Sequence[Nevra]]] = {}

    def live(self, draw: random.Random, listed: Iterable[Nevra]) -> None:
        """One host updates, and reports where it runs anything."""
        host = self._hosts[min(int(draw.expovariate(3.0) * len(self._hosts)), len(self._hosts) - 1)]
        host.update(draw, listed)
        if host.runs:
            self._reports[host.name] = (self._clock(), host.runs, host.ran)

    def running(self) -> set[Nevra]:
        """What the hosts run, or would be downgraded to, by reports that count."""
        since = self._clock() - self.max_age
        counting = (both for time, *both in self._reports.values() if time >= since)
        return {nevra for both in counting for nevras in both for nevra in nevras}

    def read(self) -> Sequence[HostReport]:
        """See ``HostReports.read``."""
        return [
            HostReport(host=name, time=time, lines=list(map(str, runs)), previous=list(map(str, ran)))
            for name, (time, runs, ran) in self._reports.items()
        ]


def fleet(clock: Clock, names: Sequence[str], max_age: float) -> Fleet:
    """A host for each of ``names`` that runs it and its neighbours."""
    near: Mapping[str, Sequence[str]] = {name: [*names[at : at + 3], f"{name}-libs"] for at, name in enumerate(names)}
    return Fleet(clock, [Host(f"host-{name}", near[name]) for name in names], max_age)
