"""What a host says of itself: the answers of ``host.sh``, read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from repod.client.fleet import HostFault, Installed, Ran, Trouble
from repod.numerals import number
from repod.package import Nevra

SCRIPT = files("repod.client.toolkit").joinpath("host.sh").read_bytes()
"""What runs on hosts, for the standard input of ``sh -s -- ACTION ARGUMENT…``."""

_BEGIN, _END = "@@repod-begin@@", "@@repod-end@@"
_LEFT_OUT = re.compile(r"\[[0-9]+ bytes left out\]")  # the line in the place of what a transport did not keep
_DIGEST = re.compile(r"[0-9a-f]{64}")
_COUNT = re.compile(r"[0-9]{1,10}")
_FORMS: Mapping[str, tuple[int, int]] = {
    "state": (2, 0),
    "state ended": (3, 2),
    "state put": (3, 0),
    "step": (4, 0),
    "lock": (4, 1),
    "package": (7, 2),
}
"""For each kind of row: how many fields it has at least, and which one is a number; 0: none."""

_KINDS: Mapping[str, str] = {"i386": "i686", "i486": "i686", "i586": "i686", "armv8l": "armv7hl", "armv7l": "armv7hl"}
_FAMILY: Mapping[str, Sequence[str]] = {"i686": ("i386", "i486", "i586", "i686"), "x86_64": ("x86_64", "x86_64_v2")}

Row = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A repository as the host's settings have it. ``kind``: ``yum`` or ``zypp``; ``file``: where."""

    kind: str
    file: str
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def keys(self) -> Sequence[str]:
        """The places of its keys."""
        return [word for line in self.settings.get("gpgkey", ()) for word in line.replace(",", " ").split()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Who holds the lock of a package tool."""

    pid: int
    command: str
    file: str

    def __str__(self) -> str:
        """As people read it."""
        return f"pid {self.pid} ({self.command.strip() or 'unknown'}) holds {self.file}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A host as it is now.

    ``tools``: paths by name; ``versions``: their versions, where rpm knows. ``repositories``: those that were asked
    for and are configured. ``main``: what all repositories have, by kind. ``free``: KiB by mount point.
    ``installed``: what was asked for, as rpm says.
    ``machine``: a digest of its machine-id; ``boot``: the id of this boot.
    """

    system: str = ""
    version: str = ""
    arch: str = ""
    machine: str = ""
    boot: str = ""
    free: Mapping[str, int] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    repositories: Mapping[tuple[str, str], Configured] = field(default_factory=dict)
    main: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    installed: Sequence[Installed] = ()
    locks: Sequence[Lock] = ()

    def takes(self, arch: str) -> bool:
        """Whether builds of that architecture are this host's own."""
        own = _KINDS.get(self.arch, self.arch)
        return arch == "noarch" or arch in _FAMILY.get(own, (own,))


def framed(ran: Ran) -> Sequence[Row]:
    """The answer between its marks, whatever log-in shells wrote around it; ``HostFault`` where it is not whole."""
    lines = ran.out.replace("\r\n", "\n").split("\n")
    if _BEGIN not in lines or _END not in lines[lines.index(_BEGIN) :]:
        said = " ".join((ran.err or ran.out).split())[-300:]
        text = f"the host did not answer as it should (exit code {ran.code}): {said or 'it wrote nothing'}"
        raise HostFault(Trouble.FAILED, text, output=ran.out + ran.err)
    start = lines.index(_BEGIN)
    end = lines.index(_END, start)
    rows = [line.split("\t") for line in lines[start + 1 : end]]
    if odd := next((row for row in rows if _is_odd(row)), None):
        text = f"the host answers what host.sh does not: {' '.join(odd)[:200]!r}; see what answers there"
        raise HostFault(Trouble.FAILED, text)
    return rows


def _is_odd(row: Row) -> bool:
    """Whether it has too few fields for its kind, or none where a number is: nobody else reads it with that in mind."""
    fields, number = _FORMS.get(" ".join(row[:2]), _FORMS.get(row[0], (1, 0)))
    return len(row) < fields or (number > 0 and _COUNT.fullmatch(row[number]) is None)


def whole(rows: Sequence[Row]) -> bool:
    """Whether the transport kept all of an answer."""
    return not any(_LEFT_OUT.fullmatch(row[0]) for row in rows)


def parts(rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    """An answer to several questions, by their names."""
    found: dict[str, list[Row]] = {}
    mine: list[Row] = []
    for row in rows:
        if row[0] == "part" and len(row) == 2:  # noqa: PLR2004 - its name, and that of the question
            mine = found.setdefault(row[1], [])
        else:
            mine.append(row)
    return found


def read(rows: Sequence[Row], names: Sequence[str]) -> Facts:
    """Facts of a host.

    ``HostFault`` where a part is missing, or rpm does not say of each of ``names`` whether it is installed.
    """
    if not whole(rows):
        text = "what the host says of itself is longer than comes through whole; for SSM, set [ssm] output"
        raise HostFault(Trouble.FAILED, text)
    if lacking := [row[1] for row in _of(rows, "lacks", 2)]:
        text = f"the host has no {', no '.join(lacking)}, which repoctl needs there: install what has it"
        raise HostFault(Trouble.FAILED, text)
    faults = [" ".join(row[1:]) for row in rows if row[0] == "fault"]
    installed = [_package(row) for row in _of(rows, "package", 7)]
    told = {one.nevra.name for one in installed} | {row[1] for row in _of(rows, "missing", 2)}
    if faults or (names and set(names) - told - {"*"}):
        said = "; ".join(faults) or "it wrote nothing"
        text = f"rpm on the host does not say what is installed: {said}; mend its database"
        raise HostFault(Trouble.FAILED, text)
    system = {row[1]: row[2] for row in _of(rows, "os", 3)}
    return Facts(
        system=system.get("ID", ""),
        version=system.get("VERSION_ID", ""),
        arch=_one(rows, "arch"),
        machine=_one(rows, "machine"),
        boot=_one(rows, "boot"),
        free={row[1]: size for row in _of(rows, "free", 3) if (size := number(row[2])) is not None},
        tools={row[1]: row[2] for row in _of(rows, "tool", 4)},
        versions={row[1]: row[3] for row in _of(rows, "tool", 4) if row[3]},
        repositories=_repositories(rows),
        main={kind: _settings(rows, kind, "main") for kind in ("yum", "zypp")},
        installed=[one for one in installed if not names or "*" in names or one.nevra.name in names],
        locks=[Lock(pid=int(row[1]), command=row[2], file=row[3]) for row in _of(rows, "lock", 4)],
    )


def _of(rows: Sequence[Row], kind: str, fields: int) -> Iterator[Row]:
    return (row for row in rows if row[0] == kind and len(row) == fields)


def _one(rows: Sequence[Row], kind: str) -> str:
    return next((row[1] for row in _of(rows, kind, 2)), "")


def _package(row: Row) -> Installed:
    _, name, epoch, version, release, arch, digest = row
    nevra = Nevra(name=name, epoch=int(epoch or 0), version=version, release=release, arch=arch)
    return Installed(nevra=nevra, header_sha256=digest if _DIGEST.fullmatch(digest) else "")


def _repositories(rows: Sequence[Row]) -> Mapping[tuple[str, str], Configured]:
    return {
        (row[1], row[2]): Configured(kind=row[1], file=row[3], settings=_settings(rows, row[1], row[2]))
        for row in _of(rows, "repository", 4)
    }


def _settings(rows: Sequence[Row], kind: str, repository: str) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for row in _of(rows, "setting", 5):
        if row[1:3] == [kind, repository]:
            found.setdefault(row[3], []).append(row[4])
    return found
