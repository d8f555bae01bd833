"""Which package tool a host is asked through, and which keys it may trust."""

from pathlib import PurePosixPath

from repod.client.fleet import Aim, HostFault, Trouble
from repod.client.toolkit.asked import Sources, ToolName
from repod.client.toolkit.facts import Configured, Facts

_ORDER = ("dnf", "dnf5", "yum", "microdnf", "zypper")
_FALSE = frozenset({"0", "no", "false", "off"})


def kind_of(tool: ToolName) -> str:
    """Whose settings it reads: ``yum`` or ``zypp``."""
    return "zypp" if tool is ToolName.ZYPPER else "yum"


def known(name: str, real: str, version: str = "") -> ToolName:
    """What a program is, by its name and the file that it leads to."""
    file = PurePosixPath(real).name
    if file.startswith("dnf5") or name == "dnf5" or (name == "dnf" and version.startswith("5.")):
        return ToolName.DNF5
    if name == "microdnf":
        return ToolName.MICRODNF
    if name == "zypper":
        return ToolName.ZYPPER
    return ToolName.DNF if file.startswith("dnf") else ToolName.YUM


def chosen(facts: Facts, repository: str) -> tuple[ToolName, str]:
    """The tool of a host, and the name it is called by; ``HostFault`` NO_TOOL or NO_REPOSITORY.

    Where there are several, the one whose settings have the repository.
    """
    there = [
        (name, known(name, facts.tools[name], facts.versions.get(name, ""))) for name in _ORDER if name in facts.tools
    ]
    if not there:
        found = ", ".join(facts.tools) or "none"
        text = f"no package tool that repoctl knows: expected dnf, yum, microdnf or zypper, found {found}"
        raise HostFault(Trouble.NO_TOOL, text)
    for name, tool in there:
        if (kind_of(tool), repository) in facts.repositories:
            return tool, name
    raise HostFault(Trouble.NO_REPOSITORY, _missing(repository, kind_of(there[0][1])))


def _missing(repository: str, kind: str) -> str:
    folder = "/etc/zypp/repos.d" if kind == "zypp" else "/etc/yum.repos.d"
    return f"no .repo file has [{repository}]: expected one in {folder}; put the repository's {repository}.repo there"


def sources(facts: Facts, tool: ToolName, aim: Aim) -> Sources:
    """Which repositories a transaction uses and whom it trusts.

    ``HostFault`` NO_REPOSITORY where a base is missing, UNTRUSTED where a key would be imported unasked.
    """
    kind = kind_of(tool)
    mute = []
    for name in (aim.repository, *aim.bases):
        found = facts.repositories.get((kind, name))
        if found is None:
            raise HostFault(Trouble.NO_REPOSITORY, _missing(name, kind))
        if tool is ToolName.ZYPPER and not _on(found.settings.get("enabled", ["1"])[-1]):
            text = f"{name} is disabled in {found.file}, and zypper cannot use it: zypper modifyrepo --enable {name}"
            raise HostFault(Trouble.NO_REPOSITORY, text)
        if _elsewhere(found) and not (name == aim.repository and aim.keys):
            mute.append(name)
    if mute and tool is ToolName.MICRODNF and _checks(facts, aim.repository):
        where = ", ".join(facts.repositories[kind, mute[0]].keys)
        text = (
            f"microdnf would import the key of {mute[0]} from {where} without being asked: pin its fingerprint in"
            f" [repository.{mute[0]}] keys, or give it a file:// key in the .repo file"
        )
        raise HostFault(Trouble.UNTRUSTED, text)
    return Sources(repository=aim.repository, bases=aim.bases, mute=mute)


def _elsewhere(found: Configured) -> bool:
    """Whether a key would come from elsewhere than the host."""
    return any(not key.startswith(("file:///", "/")) for key in found.keys)


def _checks(facts: Facts, repository: str) -> bool:
    """Whether signatures of packages are checked for a repository."""
    own = facts.repositories["yum", repository].settings.get("gpgcheck", ())
    common = facts.main.get("yum", {}).get("gpgcheck", ())
    return _on([*common, *own, "1"][-1] if not own and not common else [*common, *own][-1])


def _on(value: str) -> bool:
    return value.strip().lower() not in _FALSE
