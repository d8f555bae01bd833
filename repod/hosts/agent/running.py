"""One run: what the repository says, whether that may be followed, what is to do, and doing it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from repod.hosts.agent import document
from repod.hosts.agent.acting import Actor, Result
from repod.hosts.agent.deciding import Decision, Here, decide, identity, meant
from repod.hosts.agent.document import Ring, stamp
from repod.hosts.agent.fetch import fetch, put
from repod.hosts.agent.machine import Machine, machine_id
from repod.hosts.agent.repofile import Source, find
from repod.hosts.agent.settings import Settings
from repod.hosts.agent.signature import proven
from repod.hosts.agent.state import State, StateFile, row
from repod.hosts.faults import Absent, Fault, Refused, Unreachable

FILE = "rollout.json"
_DAY = 86400.0
_BAD = {"failed", "downgraded", "held"}


@dataclass(frozen=True)
class Outcome:
    """What came of a run: ``what``, in words; ``bad`` where the host does not run what it is to run."""

    what: str
    text: str
    ring: str
    serial: int | None = None

    @property
    def bad(self) -> bool:
        """Whether a person should look."""
        return self.what in _BAD


class Agent:
    """The agent of one repository on this host."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float], stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """``clock``: seconds since 1970."""
        self._settings = settings
        self._clock = clock
        self._stopping = stopping
        self._file = StateFile(settings.state)
        self._machine = Machine(settings, stopping=stopping)

    def rollout(self, seen: int | None) -> document.Rollout:
        """The rollout file, proven; ``Fault`` where it cannot be had or may not be followed."""
        settings = self._settings
        text, signature = document.opened(fetch(self.source(), FILE, settings.timeout))
        proven(text, signature, settings.key, settings.fingerprints)
        rollout = document.parse(text)
        document.accept(rollout, settings.name, seen, self._clock())
        return rollout

    def source(self) -> Source:
        """Where the repository lies."""
        return find(self._settings)

    def ring(self, rollout: document.Rollout) -> Ring:
        """The ring of this host; ``Absent`` where there is none of that name."""
        name = self._settings.ring
        if name not in rollout.rings:
            known = ", ".join(sorted(rollout.rings)) or "none"
            msg = f"ring {name}: there is none in {self._settings.name}; there are: {known}"
            raise Absent(msg)
        return rollout.rings[name]

    def would(self) -> Outcome:
        """What a run would do now. Nothing is changed or remembered."""
        state = self._file.load()
        rollout = self.rollout(state.serial)
        if state.pending:
            return self._outcome("act", f"to carry on with the step {state.pending.step}", rollout)
        decision = self._decide(self.ring(rollout), state)
        return self._outcome(decision.what, decision.text, rollout)

    def run(self, *, retry: bool = False) -> Outcome:
        """Do what is to do. ``retry``: also what failed here before."""
        with self._file.alone():
            if retry:
                self._file.save(replace(self._file.load(), held=(), why=""))
            try:
                outcome = self._run()
            except Fault as fault:
                self._note("refused" if isinstance(fault, Refused) else "unavailable", str(fault))
                raise
            self._note(outcome.what, outcome.text)
            return self._report(outcome)

    def _run(self) -> Outcome:
        state = self._file.load()
        actor = Actor(self._machine, self._file.load, self._file.save, self._stopping)
        try:
            rollout = self.rollout(state.serial)
            ring = self.ring(rollout)
        except Fault:
            # What was begun is finished also where the repository cannot be asked.
            result = actor.carry_on(state.pending, still=True) if state.pending else None
            if result is None:
                raise
            return self._outcome(result.what, result.text, None)
        self._file.save(replace(state, serial=rollout.serial))
        result = self._carried_on(actor, ring) or self._new(actor, ring)
        return self._outcome(result.what, result.text, rollout)

    def _carried_on(self, actor: Actor, ring: Ring) -> Result | None:
        pending = self._file.load().pending
        if pending is None:
            return None
        named = set(map(identity, ring.builds))
        return actor.carry_on(pending, still={identity(build) for build in pending.wanted} <= named)

    def _new(self, actor: Actor, ring: Ring) -> Result:
        decision = self._decide(ring, self._file.load())
        if decision.what != "act":
            return Result(decision.what, decision.text)
        return actor.begin(decision.wanted, self._settings.on_failure or ring.on_failure)

    def _decide(self, ring: Ring, state: State) -> Decision:
        settings = self._settings
        here = Here(
            machine=machine_id(),
            arch=os.uname().machine,
            installed=self._machine.installed({build.name for build in ring.builds}),
            install=settings.install,
            windows=settings.windows,
            held=state.held,
            checks=bool(settings.check),
        )
        decision = decide(ring, here, self._clock())
        failed = decision.what in {"current", "held"} and {identity(one) for one in meant(ring, here)} & set(state.held)
        return replace(decision, what="held", text=f"{decision.text}: {state.why}") if failed else decision

    def _outcome(self, what: str, text: str, rollout: document.Rollout | None) -> Outcome:
        return Outcome(what, text, self._settings.ring, rollout.serial if rollout else self._file.load().serial)

    def _note(self, what: str, text: str) -> None:
        told: Mapping[str, Any] = {"time": stamp(self._clock()), "outcome": what, "text": text}
        self._file.save(replace(self._file.load(), last=told))

    def _report(self, outcome: Outcome) -> Outcome:
        """Tell the daemon what is installed, where that changed, and once a day. What stands against it is told."""
        settings, state, now = self._settings, self._file.load(), self._clock()
        changed = outcome.what in {"updated", "downgraded", "failed"}
        if not settings.report or (not changed and 0 <= now - state.reported < _DAY):
            return outcome
        try:
            token = _token(settings.token_file)
            url = f"{settings.report}api/v1/repositories/{settings.name}/hosts/{settings.host}"
            put(url, self._report_of(state), token, Source(url="", ca=settings.ca), settings.timeout)
        except Fault as fault:
            return replace(outcome, text=f"{outcome.text}; not reported: {fault}")
        self._file.save(replace(state, reported=now))
        return outcome

    def _report_of(self, state: State) -> Mapping[str, Any]:
        """What is installed, and what this host would go back to."""
        return {"packages": list(map(row, self._machine.everything())), "previous": list(map(row, state.back))}


def _token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - a text of the settings
            return file.read().strip()
    except (OSError, UnicodeError) as error:
        msg = f"token_file {path}: cannot be read ({error})"
        raise Unreachable(msg) from error
