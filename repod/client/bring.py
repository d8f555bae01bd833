"""One host is brought to its aim, and proven: what it runs counts, not what its package tool says.

Whatever is told of a transaction, only rpm's own answer afterwards decides: NEVRA and header digest as the
repository's record has them. A transaction is a step that outlives the connection, known by the run's id.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from repod.client.fleet import Aim, Connection, HostFault, Installed, Outcome, Trouble, Wanted
from repod.client.pinned import pinned
from repod.client.talk import BACK, FORTH, PATIENT, Ended, Patience, Say, Seen, Talk, silent
from repod.client.toolkit import choosing, naming, offers, orders, planning, reading
from repod.client.toolkit.asked import Change, Sources, Step, ToolName, Verdict
from repod.client.toolkit.facts import Facts
from repod.errors import RepodError
from repod.package import Nevra

Note = Callable[[Sequence[Installed]], object]
Record = Callable[[Sequence[Nevra]], Sequence[Wanted]]

_KEYS, _OWN_KEYS = "keys.asc", "own.asc"
_PAUSE = 2.0
_WAITED_FOR = (".rpm.lock", "system-repo.lock")  # dnf 5 has the second since 5.4
_OUTPUT = 100_000


def unrecorded(builds: Sequence[Nevra]) -> Sequence[Wanted]:
    """Where no record is at hand: what was listed is proven by NEVRA alone."""
    return [Wanted(nevra=nevra, header_sha256="") for nevra in builds]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What a transaction on a host works with. ``names``: what is asked about."""

    talk: Talk
    aim: Aim
    names: Sequence[str]
    facts: Facts
    tool: ToolName
    program: str
    sources: Sources
    way: str
    attempt: int
    deadline: float

    def step(self, step: Step) -> Step:
        """The step under a name that no other attempt of the run has."""
        return replace(step, name=f"{self.way}{self.attempt}-{step.name}")


def bring(
    connection: Connection,
    aim: Aim,
    *,
    run_id: str,
    patience: Patience = PATIENT,
    note: Note = silent,
    say: Say = silent,
    seen: Seen | None = None,
    record: Record = unrecorded,
    sleep: Callable[[float], object] = time.sleep,
) -> Outcome:
    """Bring a host to its aim. What goes wrong is in the outcome: nothing is raised.

    ``note`` is told what it runs before anything is changed, ``say`` what is being done. A transaction that
    ``run_id`` began there earlier is followed, never begun again; one that ended without success is tried anew.
    ``record`` gives the digests of builds, for ``sync`` without ``builds``. ``seen`` keeps what the host said, for
    ``settle``.
    """
    talk = Talk(connection=connection, run=run_id, patience=patience, seen=seen or Seen(), say=say, sleep=sleep)
    return _guarded(talk, aim, lambda: _brought(talk, aim, note, record))


def look(
    connection: Connection,
    aim: Aim,
    *,
    patience: Patience = PATIENT,
    now: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Whether a host runs what is wanted; nothing is changed. ``trouble`` is NOT_PROVEN where it does not."""
    talk = Talk(connection=connection, run="look", patience=patience, now=now)
    return _guarded(talk, aim, lambda: _looked(talk, aim))


def restore(
    connection: Connection,
    aim: Aim,
    before: Sequence[Installed],
    *,
    run_id: str,
    patience: Patience = PATIENT,
    seen: Seen | None = None,
) -> Outcome:
    """Bring a host back to what it ran before; ``proven`` where it does.

    Of what ``aim`` wanted, packages that were not there before are removed, and nothing that requires them.
    What came along as a requirement stays.
    """
    talk = Talk(connection=connection, run=run_id, patience=patience, seen=seen or Seen())
    return _guarded(talk, aim, lambda: _restored(talk, aim, before))


def _guarded(talk: Talk, aim: Aim, work: Callable[[], Outcome]) -> Outcome:
    """The outcome, with its time; an error becomes one."""
    began = talk.now()
    try:
        naming.check_aim(aim)
        naming.check_run(talk.run)
        pinned(aim.key_file, tuple(aim.keys))
        outcome = work()
    except HostFault as fault:
        outcome = Outcome(proven=False, trouble=fault.trouble, text=str(fault), output=fault.output)
    except RepodError as error:
        outcome = Outcome(proven=False, trouble=Trouble.FAILED, text=str(error).replace("\n", "; "))
    return replace(outcome, seconds=round(talk.now() - began, 3))


def _names(aim: Aim) -> Sequence[str]:
    return sorted({build.nevra.name for build in aim.builds}) or ["*"]


def _repositories(aim: Aim) -> Sequence[str]:
    return [aim.repository, *aim.bases]


def _looked(talk: Talk, aim: Aim) -> Outcome:
    facts = talk.facts(_repositories(aim), _names(aim))
    if not aim.builds:
        return Outcome(
            proven=False, before=(), after=facts.installed, trouble=Trouble.NOT_PROVEN, text="no builds are wanted"
        )
    wanted = _wanted(aim, facts)
    faults = planning.unproven(wanted, facts.installed)
    if not faults:
        return _proof(facts.installed, facts.installed, wanted, "")
    return Outcome(
        proven=False, before=facts.installed, after=facts.installed, trouble=Trouble.NOT_PROVEN, text="; ".join(faults)
    )


def _wanted(aim: Aim, facts: Facts) -> Sequence[Wanted]:
    """The builds of the aim for this host; ``sync`` leaves alone what it does not have."""
    if aim.action == "sync":
        there = {one.nevra.name for one in facts.installed}
        return planning.own([build for build in aim.builds if build.nevra.name in there], facts)
    return planning.own(aim.builds, facts)


def _brought(talk: Talk, aim: Aim, note: Note, record: Record) -> Outcome:
    facts = talk.look(_repositories(aim), _names(aim))
    attempt = talk.next(talk.known_steps())
    if aim.builds:
        note(facts.installed)
        wanted = _wanted(aim, facts)
        change = planning.change(aim.action, wanted, facts.installed)
        if change.empty:
            return _proof(facts.installed, facts.installed, wanted, "")
    bench = _bench(talk, aim, facts, FORTH, attempt)
    if not aim.builds:
        wanted = record(_listed(bench))
        bench = replace(bench, attempt=bench.attempt + 1, names=sorted({one.nevra.name for one in wanted}))
        facts = replace(facts, installed=[one for one in facts.installed if one.nevra.name in bench.names])
        note(facts.installed)
        change = planning.change(aim.action, wanted, facts.installed)
        if change.empty:
            return _proof(facts.installed, facts.installed, wanted, "")
    verdict, output = _carried(bench, change)
    after = talk.latest(_repositories(aim), bench.names).installed
    if faults := [*planning.unproven(wanted, after), *_mixed(change, verdict)]:
        return _failed(facts.installed, after, faults, verdict, output)
    return replace(_proof(facts.installed, after, wanted, verdict.text), output=output)


def _restored(talk: Talk, aim: Aim, before: Sequence[Installed]) -> Outcome:
    names = sorted({build.nevra.name for build in aim.builds} | {one.nevra.name for one in before})
    for one in before:
        if wrong := list(naming.faults_of_build(one.nevra)):
            raise HostFault(Trouble.FAILED, "; ".join(wrong))
    facts = talk.look(_repositories(aim), names)
    attempt = talk.next(talk.known_steps())
    change = planning.back(before, facts.installed)
    after, verdict, output = facts.installed, Verdict(), ""
    if not change.empty:
        bench = replace(_bench(talk, aim, facts, BACK, attempt), names=names)
        verdict, output = _carried(bench, change)
        after = talk.latest(_repositories(aim), names).installed
    if faults := [*planning.unproven_back(before, after), *_mixed(change, verdict)]:
        return _failed(facts.installed, after, faults, verdict, output)
    removed = ", ".join([*map(str, change.leftovers), *change.removes])
    gone = f"removed {removed}, which was not there before" if removed else ""
    text = "; ".join(part for part in (gone, verdict.text) if part)
    return Outcome(proven=True, before=facts.installed, after=after, text=text, output=output)


def _bench(talk: Talk, aim: Aim, facts: Facts, way: str, attempt: int) -> _Bench:
    tool, program = choosing.chosen(facts, aim.repository)
    # Said before anything is put there: where it must fail, nothing is left behind.
    sources = choosing.sources(facts, tool, aim)
    if keys := pinned(aim.key_file, tuple(aim.keys)):
        sources = replace(sources, key_file=talk.put(_KEYS, keys))
    if sources.mute:
        sources = replace(sources, own_keys=talk.own_keys(_OWN_KEYS))
    return _Bench(
        talk=talk,
        aim=aim,
        names=_names(aim),
        facts=facts,
        tool=tool,
        program=program,
        sources=sources,
        way=way,
        attempt=attempt,
        deadline=talk.now() + talk.patience.lock,
    )


def _carried(bench: _Bench, change: Change) -> tuple[Verdict, str]:
    """Carry out a change; tried again while another process holds the lock, until that is too long."""
    steps = orders.steps(bench.tool, bench.program, change, bench.sources)
    while True:
        _free_of_locks(bench)
        verdict, output, holder = _tried(bench, steps)
        if verdict.trouble is not Trouble.LOCKED:
            return verdict, output
        talk = bench.talk
        if talk.now() + _PAUSE > bench.deadline:
            text = f"{verdict.text} (waited {talk.patience.lock:.0f} s{f'; {holder}' if holder else ''})"
            return replace(verdict, text=text), output
        talk.say(f"locked: {holder or verdict.text}; trying again")
        talk.sleep(_PAUSE)
        bench = replace(bench, attempt=bench.attempt + 1)


def _tried(bench: _Bench, steps: Sequence[Step]) -> tuple[Verdict, str, str]:
    """One attempt: verdict, output, and who holds a lock. It stops at the first step that fails."""
    outputs: list[str] = []
    verdict = Verdict()
    ended = Ended(code=0, output="")
    warnings = []
    for step in steps:
        bench.talk.say(f"{bench.tool}: {step.name}")
        then = (_repositories(bench.aim), bench.names) if step is steps[-1] else None
        ended = bench.talk.carried(bench.step(step), then=then)
        outputs.append(ended.output)
        verdict = _verdict(bench.tool, ended)
        if verdict.trouble:
            break
        warnings += [verdict.text] if verdict.text else []
    holder = "; ".join(str(lock) for lock in ended.locks)
    if verdict.trouble is None:
        verdict = Verdict(text="; ".join(warnings))
    if verdict.trouble is Trouble.FAILED and holder:
        # dnf 5 does not say that it was a lock.
        verdict = replace(verdict, trouble=Trouble.LOCKED)
    return verdict, "\n".join(outputs)[-_OUTPUT:], holder


def _verdict(tool: ToolName, ended: Ended) -> Verdict:
    if ended.code is None:
        text = "it did not end: the host was restarted, or the package tool was killed; look at the host"
        return Verdict(trouble=Trouble.FAILED, text=text)
    return reading.verdict(tool, ended.code, ended.output)


def _free_of_locks(bench: _Bench) -> None:
    """Wait until nobody holds the locks that package tools wait for without an end; ``HostFault`` LOCKED."""
    talk = bench.talk
    locks = bench.facts.locks
    while held := [lock for lock in locks if lock.file.endswith(_WAITED_FOR)]:
        if talk.now() + _PAUSE > bench.deadline:
            text = f"{held[0]} (waited {talk.patience.lock:.0f} s); wait until it ends, or end it"
            raise HostFault(Trouble.LOCKED, text)
        talk.say(f"locked: {held[0]}; trying again")
        talk.sleep(_PAUSE)
        locks = talk.facts(_repositories(bench.aim), bench.names).locks


def _listed(bench: _Bench) -> Sequence[Nevra]:
    """The newest builds that the repository offers of what the host runs; ``HostFault`` where it does not say."""
    names = sorted({one.nevra.name for one in bench.facts.installed})
    output = ""
    for step in orders.offer(bench.tool, bench.program, names, bench.sources):
        ended = bench.talk.carried(bench.step(step), listing=True)
        verdict = _verdict(bench.tool, ended)
        output = ended.output
        nothing = verdict.trouble is Trouble.NOT_OFFERED
        if verdict.trouble and not nothing:
            raise HostFault(verdict.trouble, verdict.text, output=output[-_OUTPUT:])
    return planning.newest(offers.offered(bench.tool, output), bench.facts.installed, bench.facts)


def _mixed(change: Change, verdict: Verdict) -> Sequence[str]:
    """What rpm does not tell: whose files are there, where a build that stood beside another one was taken away."""
    if not (change.leftovers and verdict.trouble):
        return []
    return [f"files of {', '.join(map(str, change.again))} may still be those of what was removed from beside it"]


def _failed(
    before: Sequence[Installed], after: Sequence[Installed], faults: Sequence[str], verdict: Verdict, output: str
) -> Outcome:
    """Why it is not as it should be: what the tool said, else that it said nothing of it."""
    if verdict.trouble is None:
        # Ended with 0, and yet not done: the output may tell why.
        verdict = reading.sign(output)
    said = verdict.text or reading.idle(output) or "the package tool said that it was done"
    trouble = verdict.trouble or Trouble.NOT_PROVEN
    text = f"{'; '.join(faults)}: {said}"
    return Outcome(proven=False, before=before, after=after, trouble=trouble, text=text, output=output)


def _proof(before: Sequence[Installed], after: Sequence[Installed], wanted: Sequence[Wanted], warning: str) -> Outcome:
    notes = [warning] if warning else []
    if wanted and planning.undigested(wanted, after):
        notes.append("proven by NEVRA alone: no header digest is known of it")
    return Outcome(proven=True, before=before, after=after, text="; ".join(notes))
