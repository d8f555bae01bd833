"""After an update: what still runs what was there before is told, restarted, or the host is, as a group wants it."""

import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from repod.client.fleet import Aim, Connection, HostFault, Limits, Outcome, Trouble
from repod.client.talk import BACK, FORTH, PATIENT, Patience, Say, Seen, Talk, silent
from repod.client.toolkit import choosing, naming, planning, restarting
from repod.client.toolkit.asked import Step
from repod.errors import RepodError

Policy = Literal["none", "report", "services", "reboot"]

_PAUSE = 2.0
_STEP = re.compile(r"([a-z]+)([0-9]{1,6})-")
_CHANGES = frozenset({FORTH, BACK})
_AWAY = frozenset({Trouble.LOST, Trouble.UNREACHABLE, Trouble.TIME_LIMIT, Trouble.DENIED, Trouble.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What is to be restarted. ``reboot``: None where the host cannot tell."""

    reboot: bool | None = None
    services: Sequence[str] = ()

    @property
    def told(self) -> Sequence[str]:
        return [*([restarting.REBOOT] if self.reboot else []), *self.services]


def settle(
    connection: Connection,
    aim: Aim,
    outcome: Outcome,
    *,
    run_id: str,
    policy: Policy,
    services: Sequence[str] = (),
    patience: Patience = PATIENT,
    say: Say = silent,
    seen: Seen | None = None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Outcome:
    """The outcome of ``bring`` or ``restore``, after what ``policy`` wants; nothing is raised.

    ``report``: ``restart`` names what still runs what was before. ``services``: each of ``services`` that runs is
    restarted first. ``reboot``: the host is, where it says that this is due, or cannot say; it has to come back, and
    is proven again. A host on which the run changed nothing since its last restart is left alone. ``seen``: what it
    said to ``bring`` or ``restore``.
    """
    if policy == "none" or not outcome.proven:
        return outcome
    talk = Talk(
        connection=connection, run=run_id, patience=patience, seen=seen or Seen(), say=say, now=now, sleep=sleep
    )
    began = now()
    try:
        naming.check_services(services)
        if _changed(talk.known_steps()):
            outcome = _settled(talk, aim, outcome, policy, services)
    except HostFault as fault:
        outcome = replace(outcome, proven=False, trouble=fault.trouble, text=str(fault), output=fault.output)
    except RepodError as error:
        outcome = replace(outcome, proven=False, trouble=Trouble.FAILED, text=str(error).replace("\n", "; "))
    return replace(outcome, seconds=round(outcome.seconds + now() - began, 3))


def _changed(steps: Collection[str]) -> bool:
    """Whether the newest of a run's steps on a host, by their numbers, is one that changes packages.

    What a client that was killed had begun is among them.
    """
    found = sorted((int(match[2]), match[1]) for name in steps if (match := _STEP.match(name)))
    return bool(found) and found[-1][1] in _CHANGES


def _settled(talk: Talk, aim: Aim, outcome: Outcome, policy: Policy, services: Sequence[str]) -> Outcome:
    if policy == "services":
        for name in services:
            _restart(talk, name)
    due = _due(talk, aim)
    if policy != "reboot" or due.reboot is False:
        return replace(outcome, restart=due.told)
    _reboot(talk)
    after = talk.facts(
        [aim.repository, *aim.bases], sorted({one.nevra.name for one in outcome.after}) or ["*"]
    ).installed
    if faults := planning.unproven_back(outcome.after, after):
        raise HostFault(Trouble.NOT_PROVEN, f"after the reboot: {'; '.join(faults)}")
    return replace(outcome, after=after, restart=_due(talk, aim).told)


def _due(talk: Talk, aim: Aim) -> _Due:
    facts = talk.seen.facts
    # Whatever packages they are of: tools are in all of them.
    if facts is None or aim.repository not in talk.seen.asked[0]:
        facts = talk.facts([aim.repository], [])
    tool, program = choosing.chosen(facts, aim.repository)
    asked = restarting.questions(tool, program, facts.tools)
    if asked is None:
        return _Due()
    limits = Limits(seconds=talk.patience.answer)
    hint = talk.connection.run(asked.reboot, root=True, limits=limits)
    listed = talk.connection.run(asked.services, root=True, limits=limits)
    return _Due(
        reboot=restarting.due(tool, hint.code, hint.out + hint.err),
        services=restarting.services(tool, listed.code, listed.out),
    )


def _restart(talk: Talk, name: str) -> None:
    """Restart a service if it runs; ``HostFault`` UNHEALTHY where it does not start again."""
    talk.say(f"restarting {name}")
    # Each time anew: on the way back too, in the same run.
    step = f"restart{talk.next()}-{re.sub('[^A-Za-z0-9_.]', '.', name)}"
    ended = talk.carried(Step(name=step, argv=["systemctl", "try-restart", "--", name]))
    if ended.code != 0:
        said = " ".join(ended.output.split())[-300:] or f"exit code {ended.code}"
        raise HostFault(Trouble.UNHEALTHY, f"service {name} could not be restarted: {said}", output=ended.output)


def _reboot(talk: Talk) -> None:
    """Restart the host, and wait until it is back with another boot; ``HostFault`` UNREACHABLE where it is not."""
    before = talk.facts([], []).boot
    talk.say("rebooting")
    talk.started(Step(name=f"reboot{talk.next()}-host", argv=["sh", "-c", "sleep 1; exec systemctl reboot"]))
    end = talk.now() + talk.patience.reboot
    said = "it did not go down"
    while talk.now() < end:
        talk.sleep(_PAUSE)
        try:
            boot = talk.facts([], [], once=True).boot
        except HostFault as fault:
            if fault.trouble not in _AWAY:
                raise
            said = str(fault)
            continue
        if boot != before:
            return
    text = f"did not come back within {talk.patience.reboot:.0f} s after a reboot: {said}; look at its console"
    raise HostFault(Trouble.UNREACHABLE, text)
