"""Hosts, what is wanted of them and what came of it: the words and doors that all of ``repoctl`` shares."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from repod.errors import RepodError
from repod.package import Nevra

Way = Literal["ssh", "ssm", "local"]
"""How a host is reached."""

Action = Literal["update", "downgrade", "reinstall", "sync"]
"""What is done on a host. ``sync``: follow what the repository lists now, down too (``distro-sync``)."""

KIBI = 1 << 10


class Trouble(StrEnum):
    """What went wrong on a host: each kind has its own state in reports, and its own remedy."""

    UNREACHABLE = "unreachable"
    """No connection: it is down, or its name or address is wrong."""
    HOST_KEY = "host-key"
    """It shows a key that is not known, or another than the known one."""
    DENIED = "denied"
    """It does not let this user in."""
    SUDO = "sudo"
    """sudo asks for a password, or may not be used."""
    TIME_LIMIT = "time-limit"
    """The command did not end in time; the text has what it wrote last, such as a prompt."""
    LOST = "connection-lost"
    """The connection ended while a command ran, and could not be made again."""
    NO_TOOL = "no-package-tool"
    """None of the package tools that repoctl knows."""
    NO_REPOSITORY = "no-repository"
    """The host has no ``.repo`` file of the repository."""
    UNTRUSTED = "untrusted-key"
    """The key that signed is not trusted on the host."""
    LOCKED = "locked"
    """Another process held the package tool's lock for longer than was waited; the text has its pid."""
    FULL = "disk-full"
    """No room for the download or the transaction."""
    FILTERED = "filtered"
    """Excludes, version locks or module filters hide the build."""
    NOT_OFFERED = "not-offered"
    """The repository as this host sees it does not list the build."""
    UNMET = "unmet-requirements"
    """The transaction cannot be resolved."""
    UNREADABLE = "repository-unreadable"
    """The host cannot fetch or verify the metadata or the package."""
    SCRIPTLET = "scriptlet"
    """A scriptlet of a package failed."""
    NOT_PROVEN = "not-proven"
    """The tool said that it was done, but the host runs something else."""
    UNHEALTHY = "unhealthy"
    """The health check failed after the update."""
    FAILED = "failed"
    """Anything else; the text has the end of the output."""


class HostFault(RepodError):
    """A host is not as it is wanted, and no other host is touched by that."""

    def __init__(self, trouble: Trouble, text: str, *, output: str = "") -> None:
        """``text``: one line: what was expected, found, and what to do. ``output``: the end of what was written."""
        super().__init__(text)
        self.trouble = trouble
        self.output = output


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host of a group. ``name`` is unique in its group and as reports name it (``reports.HostName``).

    ``address`` is what the transport connects to: a name, an address, or the id of an instance. ``user`` and
    ``port`` are empty and 0 where the settings of the transport say it, and so is ``identity``, the file of the
    private key. ``facts`` are what the inventory says of it, such as tags: for people, and for rings that are chosen
    by them.
    """

    name: str
    address: str
    way: Way = "ssh"
    user: str = ""
    port: int = 0
    identity: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


class Inventory(Protocol):
    """The door to which hosts there are. Asked at the start of each run, so that new hosts are in."""

    def hosts(self) -> Sequence[Host]:
        """All of them now, in a stable order, each name once.

        ``Misconfigured`` where an answer is not as it should be, ``Unavailable`` where none is had: never a part.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one command may take: seconds until it is ended, and bytes of each stream that are kept."""

    seconds: float = 60.0
    output: int = 256 * KIBI


ORDINARY = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ended by itself. Of streams longer than the limit the beginning and the end are kept.

    ``cut`` says that something between them is missing; a line in its place says how much.
    """

    code: int
    out: str = ""
    err: str = ""
    cut: bool = False


class Connection(Protocol):
    """The door to one host. Used by one thread at a time."""

    def run(
        self,
        argv: Sequence[str],
        *,
        root: bool = False,
        data: bytes = b"",
        limits: Limits = ORDINARY,
    ) -> Ran:
        """Run a program with these exact arguments, as root where asked; ``data`` is all of its standard input.

        Nothing is quoted by who calls: each argument arrives as it is, whatever is in it. There is no terminal,
        and the locale is ``C.UTF-8``. What it writes on either stream never blocks it.

        ``HostFault`` with UNREACHABLE, HOST_KEY, DENIED, SUDO, TIME_LIMIT or LOST; after the last two it may still
        be running on the host. A connection that was lost is made again by the next call.
        """


class Transport(Protocol):
    """The door to hosts: one for all of one way, used by many threads."""

    def connect(self, host: Host) -> AbstractContextManager[Connection]:
        """A connection, made when it is first used and closed at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A package that a host runs; ``header_sha256`` is the digest of its header, empty where rpm is too old for it."""

    nevra: Nevra
    header_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A build as the repository lists it: the digest of its header survives signing and is what hosts tell too."""

    nevra: Nevra
    header_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a run wants of every host, fixed at its start.

    ``builds``: for each name one build per arch; a host takes those of its own arch or noarch. Empty for ``sync``
    of all that the repository has. ``repository`` is its id in the hosts' settings; ``bases`` those of other
    repositories from which requirements may come. ``generation``: which one was current. ``keys``: fingerprints
    of the only keys that may be imported for it, with ``key_file`` holding them, armored; none: nothing is imported.
    """

    action: Action
    repository: str
    builds: Sequence[Wanted]
    generation: int
    bases: Sequence[str] = ()
    keys: Sequence[str] = ()
    key_file: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one host. ``proven``: it says itself that it runs what was wanted, by NEVRA and header digest.

    ``before`` and ``after`` are of the names that were wanted. ``trouble`` is None where it is proven.
    ``restart`` names services, or ``reboot``, that still run what was before.
    """

    proven: bool
    before: Sequence[Installed] = ()
    after: Sequence[Installed] = ()
    trouble: Trouble | None = None
    text: str = ""
    output: str = ""
    seconds: float = 0.0
    restart: Sequence[str] = ()
