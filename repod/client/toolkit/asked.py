"""What is asked of a package tool, whichever it is, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from repod.client.fleet import Trouble
from repod.package import Nevra


class ToolName(StrEnum):
    """The package tools that repoctl knows, by what they do, not by the name under which they are called."""

    DNF = "dnf"
    """dnf 4, and ``yum`` where that is a name of it."""
    DNF5 = "dnf5"
    YUM = "yum"
    """yum 3, of EL7."""
    MICRODNF = "microdnf"
    ZYPPER = "zypper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of a host's packages, in one transaction where the tool can.

    ``installs`` are builds whose name is not there yet, ``ups`` and ``downs`` those for which another one has to go,
    ``again`` the ones that are there by name and version, but as another build. ``follows``: names that are to
    follow what is listed, where a tool has a verb for it; ``ups`` and ``downs`` are what that comes to.
    ``removes``: names that go. ``leftovers``: builds that go first, before all else.
    """

    installs: Sequence[Nevra] = ()
    ups: Sequence[Nevra] = ()
    downs: Sequence[Nevra] = ()
    again: Sequence[Nevra] = ()
    follows: Sequence[str] = ()
    removes: Sequence[str] = ()
    leftovers: Sequence[Nevra] = ()

    @property
    def asks(self) -> bool:
        """Whether the package tool has something to do, beside removals."""
        return any((self.installs, self.ups, self.downs, self.again, self.follows))

    @property
    def empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.asks or self.removes or self.leftovers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Which repositories a transaction may use, and which keys it may trust.

    ``key_file``: on the host, with the only keys that may be imported for ``repository``; empty for none.
    ``mute``: repositories whose settings name keys elsewhere than on the host: for them nothing is imported, and
    ``own_keys`` is used, a file with the keys that the host has in rpm's database; empty for none.
    """

    repository: str
    bases: Sequence[str] = ()
    key_file: str = ""
    mute: Sequence[str] = ()
    own_keys: str = ""

    @property
    def all(self) -> Sequence[str]:
        """Every repository that is enabled."""
        return [self.repository, *self.bases]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a transaction. ``name`` tells it from the others of the same run."""

    name: str
    argv: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the end of a command means. Without ``trouble`` it says that it did what it was asked.

    ``text``: one line for people.
    """

    trouble: Trouble | None = None
    text: str = ""
