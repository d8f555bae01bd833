"""Hosts are brought to their aim in waves; each is proven, and the run stops where too many failed.

A host's own thread does what belongs to it: bring it there, check it, and take it back where it failed. Only the
main thread begins hosts, so who has begun does not depend on who was quick. No host waits for another of its wave,
unless more than ``parallel`` are at work, and one that takes longer than its limit is left to itself.

What is learned is kept in the journal before anything follows from it. A run that is taken up again proves hosts
that were done once more, since that costs one question; follows what it had begun on a host; and leaves alone
those that failed.
"""

import queue
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from repod.client.fleet import Host, HostFault, Installed, Trouble
from repod.client.rundoors import Brake, Halt, Hands, Health, Journal, Time, Watcher
from repod.client.runs import End, Progress, Standing
from repod.client.waves import Wave, stopping
from repod.errors import RepodError
from repod.times import stamp
from repod.wording import counted

_TICK = 0.2
"""Seconds after which it is looked again whether somebody wants it to stop."""

_GRACE = 30.0
"""Seconds beyond a host's limit after which its thread is not waited for: what it calls has limits of its own."""

# Failures of these kinds say something of the build, even where it is not known what the host runs now.
_OF_THE_BUILD = frozenset({Trouble.UNHEALTHY, Trouble.SCRIPTLET})
_MAY_HAVE_CHANGED = frozenset({Trouble.SCRIPTLET, Trouble.NOT_PROVEN})


class Run:
    """One run, carried out once."""

    def __init__(
        self,
        standing: Standing,
        *,
        hands: Hands,
        health: Health,
        journal: Journal,
        watchers: Sequence[Watcher],
        time: Time,
        brake: Brake,
        generation: Callable[[], int | None] = lambda: None,
    ) -> None:
        """``standing``: new, or as the journal of an earlier process has it. ``generation``: the current one now.

        ``generation`` may raise ``RepodError``; then nothing is said of it.
        """
        # One table for the whole run: a copy for each change would cost its square.
        self._rows = dict(standing.hosts)
        self._standing = replace(standing, hosts=self._rows)
        self._plan = standing.plan
        self._hands = hands
        self._health = health
        self._journal = journal
        self._watchers = watchers
        self._time = time
        self._brake = brake
        self._generation = generation
        self._lock = threading.Lock()
        self._hosts = {host.name: host for host in standing.plan.hosts}
        self._left: set[str] = set()
        self._failed = frozenset(standing.failed)
        self._judged: frozenset[str] = frozenset()
        self._why = ""
        self._lost: RepodError | None = None

    def carry_out(self) -> Standing:
        """All of it; how the run stands in the end."""
        self._learn(replace(self._standing, end=None, ended=None, problem=""))
        try:
            for wave in self._plan.waves:
                self._wave(wave)
            self._finish("succeeded" if self._standing.proven else "failed", "")
        except Halt as halt:
            strategy = self._plan.strategy
            if halt.blamed and (strategy.on_failure, strategy.downgrade) == ("downgrade", "all"):
                self._take_back([row.host for row in self._standing.rows], "the run was stopped")
            self._finish(halt.end, str(halt))
        return self._standing

    # ------------------------------------------------------------------ waves

    def _wave(self, wave: Wave) -> None:
        rows = [self._rows[name] for name in wave.hosts]
        if all(row.state == "pending" for row in rows):
            self._pause(wave)
        self._look_at_repository()
        self._may_go()
        self._say("")
        self._work([row.host for row in rows if row.state not in {"failed", "downgraded"}], self._attend, self._may_go)
        if wave.number not in self._standing.checked:
            self._check(wave)

    def _check(self, wave: Wave) -> None:
        if self._plan.strategy.wave_check:
            self._say(f"checks {wave.title}")
        try:
            self._health.wave(wave, self._plan.id, self._may_go)
        except RepodError as error:
            strategy = self._plan.strategy
            if (strategy.on_failure, strategy.downgrade) == ("downgrade", "failed"):
                self._take_back(wave.hosts, f"the check of {wave.title} failed")
            raise Halt(f"{wave.title}: {error}", blamed=True, end="stopped") from error
        self._may_go()
        self._learn(replace(self._standing, checked=[*self._standing.checked, wave.number]))

    def _may_go(self) -> None:
        """``Halt`` where no further host may begin."""
        if self._lost:
            raise Halt(str(self._lost), end="interrupted")
        if self._brake.pulled:
            raise Halt(self._brake.why, end="interrupted")
        failed = self._failed
        if failed is not self._judged:
            self._judged, self._why = failed, stopping(self._plan.waves, failed, self._plan.strategy.max_failures)
        if self._why:
            raise Halt(self._why, blamed=any(of_the_build(self._rows[name]) for name in failed), end="stopped")

    def _pause(self, wave: Wave) -> None:
        end = self._time.now() + wave.wait
        if wave.wait:
            self._say(f"waits until {stamp(end)} for {wave.title}" + (f" of ring {wave.ring}" if wave.ring else ""))
        while (left := end - self._time.now()) > 0:
            self._may_go()
            self._time.sleep(min(left, _TICK))

    def _look_at_repository(self) -> None:
        """Say once where the repository changed since the start; the aim stays."""
        with suppress(RepodError):
            number, fixed = self._generation(), self._plan.aim.generation
            if number is not None and number != fixed and not self._standing.notes:
                text = (
                    f"{self._plan.repository} is at generation {number} now; "
                    f"every host of this run gets what was fixed at its start, by generation {fixed}"
                )
                self._learn(replace(self._standing, notes=[text]))

    # ------------------------------------------------------------------ hosts at work

    def _work(
        self, names: Sequence[str], job: Callable[[Host], object], may_go: Callable[[], object] = lambda: None
    ) -> None:
        """Do the job for each host, so many at a time; a ``Halt`` of ``may_go`` waits for those at work."""
        waiting, ended = list(names), queue.SimpleQueue[str]()
        active: dict[str, float] = {}
        halt: Halt | None = None
        while active or (waiting and not halt):
            while waiting and not halt and len(active) < self._plan.strategy.parallel:
                name = waiting.pop(0)
                active[name] = self._time.now()
                self._start(name, job, ended)
            with suppress(queue.Empty):
                active.pop(ended.get(timeout=_TICK), None)
            self._leave_late(active)
            self._say_of_brake(len(active))
            if self._brake.pulled > 1:
                self._cut(active)
                active, waiting = {}, []
            try:
                may_go()
            except Halt as found:
                # More of those at work may fail: the last reason of the same kind counts them all.
                halt = found if halt is None or found.end == halt.end else halt
        if halt:
            raise halt

    def _say_of_brake(self, active: int) -> None:
        if self._brake.pulled == 1 and active:
            work = counted(active, "host")
            self._say(f"stops after {work} at work ({self._brake.why}); once more leaves them to themselves")

    def _start(self, name: str, job: Callable[[Host], object], ended: "queue.SimpleQueue[str]") -> None:
        def work() -> None:
            try:
                job(self._hosts[name])
            except HostFault as fault:
                self._fail(name, fault.trouble, str(fault))
            except Exception as error:  # noqa: BLE001 - one host never stops another
                self._fail(name, Trouble.FAILED, f"{type(error).__name__}: {error}")
            finally:
                ended.put(name)

        # A daemon: one that hangs must not keep the process, and what it began on the host goes on without it.
        threading.Thread(target=work, name=name, daemon=True).start()

    def _leave_late(self, active: dict[str, float]) -> None:
        limit = self._plan.strategy.limit + _GRACE
        for name in [name for name, began in active.items() if self._time.now() - began > limit]:
            del active[name]
            self._fail(name, Trouble.TIME_LIMIT, f"nothing came of it within {limit:g} s; it is not waited for")
            self._left.add(name)

    def _cut(self, active: Collection[str]) -> None:
        for name in active:
            text = f"not waited for: what was begun on it goes on there; repoctl hosts resume {self._plan.id} looks"
            self._host(replace(self._rows[name], text=text))
            self._left.add(name)

    # ------------------------------------------------------------------ one host

    def _attend(self, host: Host) -> None:
        """All that belongs to one host, in its own thread."""
        row = self._rows[host.name]
        if row.state == "proven":
            row = replace(row, began=self._time.now()).told(self._hands.look(host))
        elif row.phase != "taking back":
            row = replace(row, state="updating", phase="updating", began=row.began or self._time.now())
            self._host(row, must=True)
            outcome = self._hands.bring(host, self._plan.id, row.before, partial(self._seen, host.name))
            row = self._rows[host.name].told(outcome)
        if row.trouble is None:
            row = self._checked(host, replace(row, phase="checking"))
        if row.trouble is None:
            self._ended(replace(row, state="proven"))
        elif self._plan.strategy.on_failure == "downgrade" and _to_be_taken_back(row):
            self._ended(self._restored(host, row))
        else:
            self._ended(replace(row, state="failed"))

    def _seen(self, name: str, before: Sequence[Installed]) -> None:
        """What it ran before anything was changed: kept first, since it is what it may have to go back to."""
        row = self._rows[name]
        if row.before is None:
            self._host(replace(row, before=list(before)), must=True)

    def _checked(self, host: Host, row: Progress) -> Progress:
        self._host(row)
        try:
            self._health.host(host)
        except HostFault as fault:
            return replace(row, trouble=fault.trouble, text=str(fault), output=fault.output)
        return row

    def _restored(self, host: Host, row: Progress) -> Progress:
        """Taken back to what it ran before, or why not; its trouble stays what it was."""
        row = replace(row, state="updating", phase="taking back")
        self._host(row, must=True)
        outcome = self._hands.restore(host, self._plan.id, row.before or ())
        row = replace(row, after=outcome.after or row.after, restart=outcome.restart)
        if outcome.proven:
            return replace(row, state="downgraded")
        return replace(row, state="failed", text=f"{row.text}; it could not be taken back: {outcome.text}")

    def _take_back(self, names: Sequence[str], why: str) -> None:
        """Those of them that this run updated."""

        def back(host: Host) -> None:
            row = replace(self._rows[host.name], text=f"taken back: {why}", began=self._time.now())
            row = self._restored(host, row)
            self._ended(replace(row, trouble=row.trouble or (None if row.state == "downgraded" else Trouble.FAILED)))

        rows = [self._rows[name] for name in names]
        done = [row.host for row in rows if row.state == "proven" and row.changed and row.host not in self._left]
        if done:
            self._say(f"takes back {counted(len(done), 'host')}: {why}")
            self._work(done, back)

    def _ended(self, row: Progress) -> None:
        spent = None if row.began is None else round((row.seconds or 0) + self._time.now() - row.began, 1)
        self._host(replace(row, phase="", seconds=spent))

    def _fail(self, name: str, trouble: Trouble, text: str) -> None:
        self._ended(replace(self._rows[name], state="failed", trouble=trouble, text=text))

    # ------------------------------------------------------------------ what is known

    def _host(self, row: Progress, *, must: bool = False) -> None:
        """Keep and tell it; ``must``: what follows may only follow where it is kept."""
        with self._lock:
            if row.host in self._left:
                return  # a late word of a host that is not waited for any more
            self._rows[row.host] = row
            self._failed = self._failed | {row.host} if row.failing else self._failed
            self._keep(row.host)
        if must and self._lost:
            raise HostFault(Trouble.FAILED, f"not begun: {self._lost}")

    def _learn(self, standing: Standing) -> None:
        with self._lock:
            self._standing = standing
            self._keep("")

    def _keep(self, host: str) -> None:
        try:
            self._journal.note(self._standing, host)
        except RepodError as error:
            self._lost = error
        for watcher in self._watchers:
            watcher.changed(self._standing, host)

    def _say(self, doing: str) -> None:
        """What it does now, for who watches."""
        if doing == self._standing.doing:
            return
        with self._lock:
            self._standing = replace(self._standing, doing=doing)
            for watcher in self._watchers:
                watcher.changed(self._standing)

    def _finish(self, end: End, problem: str) -> None:
        self._learn(replace(self._standing, end=end, ended=self._time.now(), problem=problem, doing=""))


def of_the_build(row: Progress) -> bool:
    """Whether a failure says something of the build, and not only that the host could not be updated."""
    return row.trouble is not None and (row.changed or row.trouble in _OF_THE_BUILD or row.state == "downgraded")


def _to_be_taken_back(row: Progress) -> bool:
    return row.before is not None and (row.changed or row.trouble in _MAY_HAVE_CHANGED)
