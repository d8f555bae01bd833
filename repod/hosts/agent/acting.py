"""Brings the host to the builds that it is to run, or back: step by step, each remembered before it is begun.

Whatever ends the agent halfway, the next run finds what it was at:

1. ``change``: the package tool installs exactly the builds; it is proven by rpm, with the digests of the headers;
2. ``check``: services are restarted and the health check is run;
3. ``back``, where one of these failed: what was installed before is installed again, and proven.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from repod.hosts.agent.deciding import identity, runs
from repod.hosts.agent.document import Build
from repod.hosts.agent.state import Pending, State
from repod.hosts.faults import Unreachable

Began = Callable[[int, str], object]


class Hands(Protocol):
    """The door to the host; see ``machine.Machine``."""

    def installed(self, names: Collection[str]) -> Mapping[str, Sequence[Build]]:
        """What is installed of ``names``."""

    def change(self, builds: Sequence[Build], began: Began) -> str:
        """Install exactly these builds; what was said if that failed."""

    def remove(self, names: Collection[str], began: Began) -> str:
        """Remove packages; what was said if that failed."""

    def wait(self, pid: int, begun: str) -> bool:
        """Wait for a package tool of an earlier run."""

    def restart(self, facts: Mapping[str, str]) -> str:
        """Restart what runs of them; what was said if that failed."""

    def check(self, facts: Mapping[str, str]) -> str:
        """Whether the host is well; what was said if not."""


@dataclass(frozen=True)
class Result:
    """What came of it: ``updated``, ``downgraded`` or ``failed``, in words."""

    what: str
    text: str


class Actor:
    """Works on one change."""

    def __init__(
        self, hands: Hands, load: Callable[[], State], save: Callable[[State], None], stopping: Callable[[], bool]
    ) -> None:
        """``stopping``: end after the step that is at work; the next run carries on."""
        self._hands = hands
        self._load = load
        self._save = save
        self._stopping = stopping

    def begin(self, wanted: Sequence[Build], on_failure: str) -> Result:
        """Begin a change."""
        before = self._hands.installed({build.name for build in wanted})
        there = {build.name: tuple(before.get(build.name, ())) for build in wanted}
        return self._go(Pending(tuple(wanted), there, "change", on_failure))

    def carry_on(self, pending: Pending, *, still: bool) -> Result | None:
        """Go on with a change of an earlier run; ``still``: the ring names those builds now.

        None where nothing is left to do of it, so that it is decided anew.
        """
        if not self._hands.wait(pending.pid, pending.begun):
            msg = f"the package tool of an earlier run (process {pending.pid}) is still at work"
            raise Unreachable(msg)
        if pending.step == "change":
            there = self._there(pending)
            if all(runs(build, there) for build in pending.wanted):
                pending = replace(pending, step="check")
            elif there == pending.before:
                self._remember(None)
                return None
            elif not still:
                pending = replace(pending, step="back", why="it was interrupted, and the ring names something else now")
        elif pending.step == "back" and not still:
            self._held(pending)
            return None
        return self._go(pending)

    def _go(self, pending: Pending) -> Result:
        steps = {"change": self._change, "check": self._check, "back": self._back}
        while True:
            if self._stopping():
                msg = f"stopped before the step {pending.step}; the next run carries on"
                raise Unreachable(msg)
            self._remember(pending)
            after = steps[pending.step](pending)
            if isinstance(after, Result):
                return after
            pending = after

    def _change(self, pending: Pending) -> Pending | Result:
        there = self._there(pending)
        left = [build for build in pending.wanted if not runs(build, there)]
        said = self._hands.change(left, self._began(pending)) if left else ""
        there = self._there(pending)
        if all(runs(build, there) for build in pending.wanted):
            return replace(pending, step="check")
        found = ", ".join(str(build) for same in there.values() for build in same) or "none of them"
        text = said or "the package tool said that it was done"
        if there == pending.before:
            # Nothing changed: a repository that cannot be read, a lock, no room. The next run tries again.
            self._remember(None)
            return Result("failed", f"{_said(pending.wanted)}: not installed ({text}); tried again")
        return replace(pending, step="back", why=f"expected {_said(pending.wanted)}, found {found} ({text})")

    def _check(self, pending: Pending) -> Pending | Result:
        facts = _facts(pending)
        said = self._hands.restart(facts) or self._hands.check(facts)
        if not said:
            back = tuple(build for same in pending.before.values() for build in same)
            self._save(replace(self._load(), pending=None, held=(), why="", back=back))
            return Result("updated", f"runs {_said(pending.wanted)}")
        if pending.on_failure == "stay":
            self._held(replace(pending, why=said))
            return Result("failed", f"{_said(pending.wanted)} runs, but its health check failed ({said})")
        return replace(pending, step="back", why=f"health check failed ({said})")

    def _back(self, pending: Pending) -> Result:
        there = self._there(pending)
        older = [build for same in pending.before.values() for build in same if not runs(build, there)]
        new = [name for name, same in pending.before.items() if not same and there.get(name)]
        began = self._began(pending)
        said = self._hands.change(older, began) if older else ""
        said += self._hands.remove(new, began) if new else ""
        was = [build for same in pending.before.values() for build in same]
        if self._there(pending) != pending.before:
            text = said or "the package tool said that it was done"
            return Result("failed", f"{_said(was)}: cannot be installed again ({text}); tried again: {pending.why}")
        self._hands.restart(_facts(pending))
        self._held(pending)
        return Result("downgraded", f"runs {_said(was)} again: {_said(pending.wanted)}: {pending.why}")

    def _there(self, pending: Pending) -> Mapping[str, Sequence[Build]]:
        found = self._hands.installed(pending.before)
        return {name: tuple(found.get(name, ())) for name in pending.before}

    def _began(self, pending: Pending) -> Began:
        return lambda pid, begun: self._remember(replace(pending, pid=pid, begun=begun))

    def _remember(self, pending: Pending | None) -> None:
        self._save(replace(self._load(), pending=pending))

    def _held(self, pending: Pending) -> None:
        held = tuple(identity(build) for build in pending.wanted)
        self._save(replace(self._load(), pending=None, held=held, why=pending.why))


def _said(builds: Sequence[Build]) -> str:
    return ", ".join(map(str, builds)) or "nothing"


def _facts(pending: Pending) -> Mapping[str, str]:
    """What commands of the settings find in their environment, with REPOD_ before it."""
    before = [str(build) for same in pending.before.values() for build in same]
    return {"BUILDS": " ".join(map(str, pending.wanted)), "BEFORE": " ".join(before)}
