"""This host as the agent works on it: what rpm says is installed, the package tool, commands of the settings."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from repod.hosts.agent.deciding import runs
from repod.hosts.agent.document import Build
from repod.hosts.agent.programs import Ended, ask, mark, run, wait_for
from repod.hosts.agent.settings import Settings
from repod.hosts.agent.tools import Tool, detect, environment, locked, words
from repod.hosts.faults import WrongUse

MACHINE_ID = Path("/etc/machine-id")
_FORM = r"@%{NAME}|%{EPOCHNUM}|%{VERSION}|%{RELEASE}|%{ARCH}|%{SHA256HEADER}|%{INSTALLTID}\n"
_NONE = "(none)"
_FIELDS = 7
_KEY = "gpg-pubkey"
_SAID = 400
_RPM = 120.0
_REST = 2.0

Began = Callable[[int, str], object]
"""Hears the process id of the package tool, and when it began."""


def machine_id() -> str:
    """What tells this host from all others."""
    try:
        found = MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        msg = f"{MACHINE_ID}: expected the machine id, found none ({error}); run systemd-machine-id-setup"
        raise WrongUse(msg) from error
    if not found or found == "uninitialized":
        msg = f"{MACHINE_ID}: expected the machine id, found {found!r}; run systemd-machine-id-setup"
        raise WrongUse(msg)
    return found


def parse_rpm(text: str) -> Mapping[str, Sequence[Build]]:
    """What ``rpm -q`` printed in the agent's form, by name; what was installed last is the last."""
    found: dict[str, list[tuple[int, Build]]] = {}
    for line in text.splitlines():
        parts = line[1:].split("|")
        if line.startswith("@") and len(parts) == _FIELDS:
            name, epoch, version, release, arch, digest, transaction = parts
            build = Build(name, int(epoch), version, release, arch, "" if digest == _NONE else digest)
            found.setdefault(name, []).append((int(transaction) if transaction.isdecimal() else 0, build))
    return {name: [build for _, build in sorted(same, key=lambda pair: pair[0])] for name, same in found.items()}


class Machine:
    """This host."""

    def __init__(self, settings: Settings, *, stopping: Callable[[], bool]) -> None:
        """``stopping`` says that nothing new is to be begun."""
        self._settings = settings
        self._stopping = stopping
        self._log = settings.state / "output.log"

    @property
    def tool(self) -> Tool:
        """Its package tool."""
        return detect(self._settings.tool)

    def installed(self, names: Collection[str]) -> Mapping[str, Sequence[Build]]:
        """What is installed of ``names``."""
        return parse_rpm(ask(["rpm", "-q", "--qf", _FORM, "--", *sorted(names)], _RPM)) if names else {}

    def everything(self) -> Sequence[Build]:
        """All that is installed, but for keys."""
        found = parse_rpm(ask(["rpm", "-qa", "--qf", _FORM], _RPM))
        return [build for name, same in found.items() if name != _KEY for build in same]

    def change(self, builds: Sequence[Build], began: Began) -> str:
        """Have the package tool install exactly ``builds``; what it said if it failed, else empty.

        Only ``installed`` says whether they are.
        """
        said = ""
        there = self.installed({one.name for one in builds})
        # Other bytes under the same NEVRA: to a package tool that is nothing to do.
        again = [one for one in builds if any(str(one) == str(same) for same in there.get(one.name, ()))]
        for some, force in ((again, True), ([one for one in builds if one not in again], False)):
            said = (some and self._changed(some, began, again=force)) or said
        return said

    def _changed(self, builds: Sequence[Build], began: Began, *, again: bool) -> str:
        tool, settings = self.tool, self._settings
        said = ""
        repositories = [settings.repository, *settings.bases]
        for command in words(tool, repositories, settings.key, builds, again=again):
            ended = self._unlocked(tool, command, began)
            said = "" if ended.code == 0 else _failure(tool, ended)
            there = self.installed({one.name for one in builds})
            if all(runs(one, there) for one in builds):
                return ""
        return said

    def remove(self, names: Collection[str], began: Began) -> str:
        """Remove packages that were not there before; what rpm said if it failed."""
        ended = run(
            ["rpm", "-e", "--", *sorted(names)],
            self._settings.transaction,
            self._log,
            {},
            lambda pid: began(pid, mark(pid)),
        )
        return "" if ended.code == 0 else ended.last

    def wait(self, pid: int, begun: str) -> bool:
        """Wait for a package tool of an earlier run; False where it does not end."""
        return wait_for(pid, begun, self._settings.transaction)

    def restart(self, facts: Mapping[str, str]) -> str:
        """Run the command for after a change; what it said if it failed."""
        return self._command(self._settings.restart, facts, self._settings.transaction)

    def check(self, facts: Mapping[str, str]) -> str:
        """Run the health check until it passes, as long as that may take; what it said last if it does not."""
        deadline = time.monotonic() + self._settings.check_within
        while True:
            left = max(1.0, deadline - time.monotonic())
            said = self._command(self._settings.check, facts, left)
            if not said or time.monotonic() + _REST > deadline or self._stopping():
                return said
            time.sleep(_REST)

    def _command(self, command: Sequence[str], facts: Mapping[str, str], seconds: float) -> str:
        if not command:
            return ""
        ended = run(command, seconds, self._log, {f"REPOD_{key}": text for key, text in facts.items()})
        if ended.late:
            return f"{shlex.join(command)}: did not end within {seconds:.0f} s"
        return f"{shlex.join(command)}: exit status {ended.code}: {ended.last}" if ended.code else ""

    def _unlocked(self, tool: Tool, command: Sequence[str], began: Began) -> Ended:
        """Run the tool; where another one works, again until that is done or was waited for long enough."""
        deadline = time.monotonic() + self._settings.lock_wait
        while True:
            ended = run(
                command,
                self._settings.transaction,
                self._log,
                environment(tool, self._settings.lock_wait),
                lambda pid: began(pid, mark(pid)),
            )
            if not locked(tool, ended) or time.monotonic() > deadline or self._stopping():
                return ended
            time.sleep(_REST)


def _failure(tool: Tool, ended: Ended) -> str:
    if ended.late:
        return f"{tool.kind} was ended, as it took too long (transaction): {ended.last}"
    if locked(tool, ended):
        return f"{tool.kind}: another package tool held the lock for longer than lock_wait"
    lines = [line.strip() for line in ended.out.splitlines() if line.strip()]
    first = next((at for at, line in enumerate(lines) if line.startswith(("Error", "Problem", "error:"))), None)
    said = ended.last if first is None else " ".join(lines[first:])[:_SAID]
    return f"{tool.kind}: exit status {ended.code}: {said}"
