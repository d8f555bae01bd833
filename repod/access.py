"""Who may do what: callers, how they show who they are, and what the settings let them do.

A caller is known by a token, by name and password, or by a client certificate. A token carries what it may do
and in which repositories; to the other two the settings of each repository say so by their names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal, NewType, Protocol

Verb = NewType("Verb", str)
"""One thing that a caller may do."""

READ = Verb("read")
METRICS = Verb("metrics")
UPLOAD = Verb("upload")
PROMOTE = Verb("promote")
ROLLBACK = Verb("rollback")
REMOVE = Verb("remove")
MARK = Verb("mark")
PRUNE = Verb("prune")
VERIFY = Verb("verify")
REPORT = Verb("report")
RING = Verb("ring")
VERBS: Mapping[Verb, str] = {
    READ: "read repositories",
    METRICS: "read /metrics",
    UPLOAD: "put packages and documents into inboxes",
    PROMOTE: "add builds of other repositories that the token may read",
    ROLLBACK: "publish what an earlier generation listed",
    REMOVE: "take builds out of the metadata",
    MARK: "pin, unpin, label and unlabel builds",
    PRUNE: "carry out what retention plans, and forget hosts that are gone",
    VERIFY: "have everything proven, and mended",
    REPORT: "report rollouts and what hosts run",
    RING: "say which builds the hosts of a ring are to run",
}
"""Every verb, with what it allows. All but the first two are for tokens alone."""

ANY = "*"
"""In place of a repository's name: each of them."""


class Reason(StrEnum):
    """Why nobody is recognized."""

    NOTHING = "nothing"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a request shows. ``names`` are those of a client certificate that TLS has proven."""

    address: str
    token: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls. ``repositories`` (names, or ``ANY``) are what a token says; None where the settings say it.

    ``hosts`` (shell patterns): those of which a token may report; None: of any.
    """

    names: Sequence[str]
    how: Literal["token", "password", "certificate"]
    verbs: frozenset[Verb] = frozenset((READ, METRICS))
    repositories: frozenset[str] | None = None
    hosts: Sequence[str] | None = None

    def speaks_for(self, host: str) -> bool:
        """Whether it may report of ``host``; empty: of all, as a rollout does."""
        return self.hosts is None or (bool(host) and any(fnmatchcase(host, one) for one in self.hosts))

    def __str__(self) -> str:
        """How a log line names the caller."""
        return f"{self.how} {self.names[0]}"


class Stranger(Exception):
    """The offer makes no known caller. ``who`` is a name that may be logged; ``wait`` seconds, where throttled."""

    def __init__(self, reason: Reason, who: str = "", wait: float = 0.0) -> None:
        """``reason``: no offer at all, none that is known, one that has expired, or too many failures before."""
        super().__init__(reason)
        self.reason = reason
        self.who = who
        self.wait = wait


class Callers(Protocol):
    """The door to all callers that are known."""

    def recognize(self, offer: Offer) -> Caller:
        """Who calls; ``Stranger``, or ``Unavailable`` where that cannot be told now. May take 0.1 s: not on a loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the settings say of one repository: ``public`` to anyone, else to ``readers`` (shell patterns)."""

    public: bool
    readers: Sequence[str] = (ANY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the settings say: ``open`` are the verbs that ask for no caller; ``scopes`` by repository.

    ``pages``: who is shown status pages. ``auto``: who may read the repository; ``readers``: the same, but
    nobody without credentials; ``open``: anyone, of every repository; ``off``: nobody.
    ``host_names``: whether who sees a repository sees names of hosts in it, also without being known.
    """

    open: frozenset[Verb]
    scopes: Mapping[str, Scope]
    pages: Literal["auto", "open", "readers", "off"] = "auto"
    host_names: bool = True

    def asks_nobody(self, verb: Verb, repository: str) -> bool:
        """Whether anyone may do it."""
        scope = self.scopes.get(repository)
        return verb in self.open or (verb == READ and scope is not None and scope.public)

    def shows(self, caller: Caller | None, repository: str) -> bool:
        """Whether pages about a repository are shown to ``caller``; None is who shows nothing of himself."""
        if self.pages == "open" or (self.pages == "auto" and self.asks_nobody(READ, repository)):
            return True
        return self.pages != "off" and caller is not None and self.allows(caller, READ, repository)

    def names_hosts(self, caller: Caller | None, repository: str) -> bool:
        """Whether ``caller``, None for who is not known, is told names of hosts that report to a repository."""
        if self.host_names:
            return True
        return caller is not None and any(self.allows(caller, verb, repository) for verb in (READ, REPORT))

    def allows(self, caller: Caller, verb: Verb, repository: str) -> bool:
        """Whether this caller may do it; ``repository`` is empty for what belongs to none."""
        if verb not in caller.verbs:
            return False
        if not repository:
            return True
        if caller.repositories is not None:
            return bool({ANY, repository} & caller.repositories)
        scope = self.scopes.get(repository)
        patterns = scope.readers if scope else (ANY,)
        return any(fnmatchcase(name, pattern) for name in caller.names for pattern in patterns)
