"""`repod-agent check`: whether all that a run needs is there, each with what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from repod.hosts.agent import signature
from repod.hosts.agent.document import stamp
from repod.hosts.agent.machine import machine_id
from repod.hosts.agent.running import Agent
from repod.hosts.agent.settings import Settings
from repod.hosts.agent.state import StateFile
from repod.hosts.agent.tools import detect
from repod.hosts.faults import Fault, WrongUse
from repod.hosts.finding import Finding


def findings(settings: Settings, agent: Agent) -> Iterator[Finding]:
    """All of them; nothing is changed."""
    yield _found("machine id", lambda: machine_id()[:8] + "…")
    yield _found("package tool", lambda: detect(settings.tool).program)
    yield _found("signatures", signature.tool)
    yield _found("repository", lambda: agent.source().url)
    yield _found("rollout file", lambda: _rollout(settings, agent))
    for name, command in (("check", settings.check), ("restart", settings.restart)):
        if command:
            yield _found(name, lambda command=command: _program(command[0]))  # type: ignore[misc]


def _found(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())  # noqa: FBT003 - a field
    except Fault as fault:
        return Finding(what, False, str(fault))  # noqa: FBT003


def _rollout(settings: Settings, agent: Agent) -> str:
    rollout = agent.rollout(StateFile(settings.state).load().serial)
    ring = agent.ring(rollout)
    said = ", ".join(map(str, ring.builds))
    return f"serial {rollout.serial}, good until {stamp(rollout.expires)}; ring {settings.ring}: {said}"


def _program(path: str) -> str:
    if not Path(path).is_file():
        msg = f"{path}: expected a program, found none"
        raise WrongUse(msg)
    return path
