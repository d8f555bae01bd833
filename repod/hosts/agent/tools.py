"""Package tools: which one a host has, and the words that bring it to exact builds. Pure but for ``detect``.

Only the one repository is enabled, and those named as bases; its metadata are refreshed, and a broken one is an
error. Success is never what the tool says, but what rpm says afterwards.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from repod.hosts.agent.document import Build
from repod.hosts.agent.programs import Ended
from repod.hosts.faults import WrongUse

_ORDER = ("dnf5", "dnf", "zypper", "yum", "microdnf")
_LOCKED_CODES: Mapping[str, int] = {"dnf": 200, "yum": 200, "zypper": 7}
_LOCKED_TEXTS = ("transaction lock", "holding the yum lock", "System management is locked")


@dataclass(frozen=True)
class Tool:
    """A package tool, by the name of its kind; ``program`` is where it lies."""

    kind: str
    program: str


def detect(wanted: str = "auto") -> Tool:
    """The tool of this host, or the one that is wanted; ``WrongUse`` where it has none."""
    for kind in _ORDER if wanted == "auto" else (wanted,):
        program = shutil.which(kind)
        if program:
            return Tool(kind, program)
    msg = f"tool: expected one of {', '.join(_ORDER) if wanted == 'auto' else wanted}, found none on this host"
    raise WrongUse(msg)


def words(
    tool: Tool, repositories: Sequence[str], key: Path, builds: Sequence[Build], *, again: bool = False
) -> Sequence[Sequence[str]]:
    """What brings a host to exactly ``builds``, up or down: commands, of which the next is for where one did not.

    ``repositories``: ids of those that are enabled, the first is that of the builds; only keys of the file ``key``
    may vouch for that one, whatever its server says. ``again``: other bytes of the same NEVRAs are installed.
    """
    if tool.kind == "zypper":
        return _zypper(tool.program, repositories, key, builds, "--force" if again else "--oldpackage")
    specs = [f"{one.name}-{one.epoch}:{one.version}-{one.release}.{one.arch}" for one in builds]
    verb = "reinstall" if again else "install"
    only = ["--disablerepo=*", *(f"--enablerepo={one}" for one in repositories)]
    if tool.kind == "microdnf":
        # It refuses settings that it does not know, and each of its versions knows others: none is given.
        common = [tool.program, "-y", *only]
        return [["rpm", "--import", str(key)], [*common, "clean", "all"], [*common, verb, *specs]]
    strict = [f"--setopt={one}.skip_if_unavailable=0" for one in repositories]
    strict += [f"--setopt={repositories[0]}.{own}" for own in ("gpgcheck=1", f"gpgkey=file://{quote(str(key))}")]
    strict += [f"--setopt={base}.gpgkey=" for base in repositories[1:]]  # keys that are known already are enough
    # They wait for ever where another one works; so they say that, and are asked again.
    strict += ["--setopt=exit_on_lock=1"] if tool.kind != "dnf5" else []
    if tool.kind == "yum":
        yum = [tool.program, "-y", *only, *strict]
        return [[*yum, "clean", "expire-cache"], [*yum, verb, *specs], [*yum, "downgrade", *specs]]
    # Both take the exact build that is named, whether it is newer or older than what is installed.
    return [[tool.program, "-y", "--refresh", "--best", *only, *strict, verb, *specs]]


def _zypper(
    program: str, repositories: Sequence[str], key: Path, builds: Sequence[Build], how: str
) -> Sequence[Sequence[str]]:
    specs = [f"{one.name}.{one.arch}={one.epoch}:{one.version}-{one.release}" for one in builds]
    chosen = [word for one in repositories for word in ("--repo", one)]
    return [
        ["rpm", "--import", str(key)],
        [program, "--non-interactive", "refresh", "--force", repositories[0]],
        [program, "--non-interactive", "install", how, *chosen, *specs],
    ]


def environment(tool: Tool, lock_wait: float) -> Mapping[str, str]:
    """What the tool is told beside its words."""
    return {"ZYPP_LOCK_TIMEOUT": str(int(lock_wait))} if tool.kind == "zypper" else {}


def locked(tool: Tool, ended: Ended) -> bool:
    """Whether it did nothing, since another one works."""
    if ended.code == 0:
        return False
    return _LOCKED_CODES.get(tool.kind) == ended.code or any(text in ended.out for text in _LOCKED_TEXTS)
