"""What is reported of hosts: rollouts, as they go, and which packages a host runs.

These are documents that machines send and get over HTTP, so they are proven here, field by field.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from repod.errors import NotFound

MOST_HOSTS = 10_000
MOST_PACKAGES = 50_000
LARGEST = 4 << 20
"""Bytes that a report may have."""

State = Literal["running", "succeeded", "failed", "stopped"]
HostState = Literal["pending", "updating", "proven", "failed", "downgraded", "untouched"]

Text = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
RolloutId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$", max_length=240)]  # names a file, with .json
Count = Annotated[str, Field(pattern=r"^[0-9]{1,6}%?$")]
BUILD = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*-([0-9]{1,10}:)?[A-Za-z0-9_.+~^]+-[A-Za-z0-9_.+~^]+\.[A-Za-z0-9_]+$"
Build = Annotated[str, Field(max_length=500, pattern=BUILD)]


class Report(BaseModel):
    """A document of a report: frozen, and without a field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Strategy(Report):
    """How hosts are updated: so many first, then in waves, until too many failed. Counts may be in percent."""

    canary: Annotated[int, Field(ge=0, le=MOST_HOSTS)] = 0
    wave: Count = "100%"
    max_failures: Count = "0"
    on_failure: Literal["stop", "downgrade"] = "stop"


class HostProgress(Report):
    """One host of a rollout: what it ran before, what it runs now, and the digest of that one's header.

    ``trouble`` names the kind of what went wrong (``locked``), ``problem`` says it to a person.
    """

    host: HostName
    wave: Annotated[int, Field(ge=0, le=MOST_HOSTS)] = 0
    state: HostState
    before: Build | Literal[""] = Field(default="", alias="from")
    after: Build | Literal[""] = Field(default="", alias="to")
    header_sha256: Digest = ""
    seconds: Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)] | None = None
    trouble: Annotated[str, Field(pattern=r"^([a-z][a-z-]*)?$", max_length=40)] = ""
    problem: Text = ""


class Rollout(Report):
    """A rollout as it stands; each report of it is the whole document.

    ``package`` is what was asked for (``NAME`` or ``NAME-EVR``), ``builds`` what that meant; ``sync`` may
    name none, where hosts follow all that a repository lists. Wave 0 are the canaries.
    """

    id: RolloutId
    package: Name
    builds: Annotated[Sequence[Build], Field(max_length=100)]
    group: Text = ""
    action: Literal["update", "downgrade", "reinstall", "sync"] = "update"
    strategy: Strategy = Strategy()
    state: State
    actor: Name
    started: AwareDatetime
    ended: AwareDatetime | None = None
    problem: Text = ""
    hosts: Annotated[Sequence[HostProgress], Field(max_length=MOST_HOSTS)] = ()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many hosts are in each state."""
        return Counter(one.state for one in self.hosts)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.builds and self.action != "sync":
            msg = f"builds: expected what {self.package} meant, found none"
            raise ValueError(msg)
        if (self.ended is None) != (self.state == "running"):
            found = "none" if self.ended is None else self.ended.isoformat()
            msg = f"ended: expected a time where it is over and none while it runs, found {found} and {self.state}"
            raise ValueError(msg)
        if self.ended is not None and self.ended < self.started:
            msg = f"ended: expected a time after started, found {self.ended.isoformat()}"
            raise ValueError(msg)
        twice = sorted(name for name, count in Counter(one.host for one in self.hosts).items() if count > 1)
        if twice:
            msg = f"hosts: expected each once, found more of {', '.join(twice[:3])}"
            raise ValueError(msg)
        return self


class Reported(Report):
    """A rollout with who reported it last, and when."""

    rollout: Rollout
    reported_by: str
    reported: AwareDatetime


class Summary(Report):
    """A rollout without its hosts; ``counts`` says how many are in each state."""

    id: str
    package: str
    builds: Sequence[str]
    group: str
    action: str
    strategy: Strategy
    state: State
    actor: str
    started: AwareDatetime
    ended: AwareDatetime | None
    problem: str
    hosts: int
    counts: Mapping[str, int]
    reported_by: str
    reported: AwareDatetime


class Installed(Report):
    """A package on a host, as ``rpm -qa`` prints it, and rpm's SHA-256 of its header where the host knows that."""

    nevra: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x20\x7f]+$")]
    header_sha256: Digest = ""


class HostSays(Report):
    """All packages that a host runs, and under ``previous`` the builds that it would be downgraded to."""

    packages: Annotated[Sequence[Installed], Field(min_length=1, max_length=MOST_PACKAGES)]
    previous: Annotated[Sequence[Installed], Field(max_length=MOST_PACKAGES)] = ()


class HostNoted(Report):
    """A host's report was kept: how many packages it names."""

    host: str
    packages: int


class HostBuild(Report):
    """A build on a host. ``newest`` is the newest build of that name in the repository, empty where it lists none.

    ``differs``: no build of that name on the host is that one.
    """

    package: str
    header_sha256: str = ""
    newest: str = ""
    differs: bool = False


class HostRow(Report):
    """A host that reports, with what it runs of the names that were asked for, or that the repository lists.

    ``stale``: the report is so old that it does not count any more. ``packages``: how many it names in all.
    """

    host: str
    reported: AwareDatetime
    reported_by: str
    stale: bool
    packages: int
    builds: Sequence[HostBuild]
    previous: Sequence[str]


class HostPage(Report):
    """Some of the ``total`` hosts, by name; ``next`` leads to more. ``warnings`` say why that may not be all.

    ``stale`` and ``differs`` count, of all of them, hosts whose reports are too old, and others that differ.
    """

    hosts: Sequence[HostRow]
    total: int
    stale: int
    differs: int
    next: str = ""
    warnings: Sequence[str] = ()


class NoReports:
    """``office.Reports`` where nothing is reported."""

    def rollouts(self, _repository: str, *, limit: int = 20) -> Sequence[Summary]:
        """None of ``limit``."""
        return ()[:limit]

    def rollout(self, repository: str, name: str) -> Reported:
        """``NotFound``."""
        msg = f"there is no rollout {name!r} in {repository}"
        raise NotFound(msg)

    def report(self, repository: str, rollout: Rollout, _by: object) -> Reported:
        """``NotFound``."""
        return self.rollout(repository, rollout.id)

    def host(self, repository: str, host: str, _said: HostSays, _by: object) -> HostNoted:
        """``NotFound``."""
        msg = f"reports of hosts such as {host!r} are not kept in {repository}"
        raise NotFound(msg)

    def hosts(self, repository: str, **_which: object) -> HostPage:
        """None."""
        return HostPage(hosts=(), total=0, stale=0, differs=0, warnings=[f"hosts do not report to {repository} here"])

    def forget(self, repository: str, host: str, _by: object) -> None:
        """``NotFound``."""
        msg = f"there is no report of host {host!r} in {repository}"
        raise NotFound(msg)


def read_lines(text: str) -> HostSays:
    """What ``rpm -qa`` prints, as a report; ``ValueError`` where there is nothing, or too much of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_PACKAGES:
        msg = f"expected at most {MOST_PACKAGES} lines, found {len(lines)}"
        raise ValueError(msg)
    # What is in the lines is judged where they are kept, as for reports of any form.
    return HostSays.model_construct(packages=[Installed.model_construct(nevra=line) for line in lines])


def summary(one: Reported) -> Summary:
    """A rollout without its hosts."""
    fields = one.rollout.model_dump(exclude={"hosts"})
    told = {"reported_by": one.reported_by, "reported": one.reported}
    return Summary.model_validate(fields | told | {"hosts": len(one.rollout.hosts), "counts": one.rollout.counts})
