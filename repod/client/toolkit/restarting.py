"""What still runs what was there before an update: how each package tool is asked, and what it answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repod.client.toolkit.asked import ToolName

REBOOT = "reboot"
"""Stands among the names of services where the whole host is meant."""

_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\\-]*\.service")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\\-]*")
_NEEDED, _NEEDLESS = "Reboot is required", "Reboot should not be necessary"
_ZYPPER_NEEDED = 102  # ZYPPER_EXIT_INF_REBOOT_NEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is run on a host: ``reboot`` tells whether it is due, ``services`` which ones."""

    reboot: Sequence[str]
    services: Sequence[str]


def questions(tool: ToolName, program: str, tools: Mapping[str, str]) -> Questions | None:
    """How a host is asked; None where nothing on it can tell. ``tools``: what it has, as ``Facts.tools``."""
    if tool is ToolName.ZYPPER:
        return Questions(reboot=[program, "needs-rebooting"], services=[program, "ps", "-sss"])
    if tool is ToolName.YUM:
        # A program of yum-utils.
        there = "needs-restarting" in tools
        return Questions(reboot=["needs-restarting", "-r"], services=["needs-restarting", "-s"]) if there else None
    # The answer of a dnf without the plug-in takes as long as one of a dnf that has it.
    if tool is ToolName.MICRODNF or (tool is ToolName.DNF and "dnf-needs-restarting" not in tools):
        return None
    # dnf 5 wants documents of every repository that no update fetched, and refuses where it may not fetch them; what it
    # says of the host itself needs none.
    common = [program, "--disablerepo=*" if tool is ToolName.DNF5 else "-C", "needs-restarting"]
    return Questions(reboot=[*common, "-r"], services=[*common, "-s"])


def due(tool: ToolName, code: int, output: str) -> bool | None:
    """Whether a reboot is due; None where the answer is none, as the plug-in that gives it is not there."""
    if tool is ToolName.ZYPPER and code in {0, _ZYPPER_NEEDED}:
        return code == _ZYPPER_NEEDED
    if _NEEDED in output:
        return True
    return False if _NEEDLESS in output else None


def services(tool: ToolName, code: int, output: str) -> Sequence[str]:
    """The services in an answer; what is no name of one is passed over."""
    if code != 0:
        return []
    form = _NAME if tool is ToolName.ZYPPER else _UNIT
    return sorted({line.strip() for line in output.splitlines() if form.fullmatch(line.strip())})
