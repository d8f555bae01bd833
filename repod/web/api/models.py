"""What the API takes and answers, where that is no plain value of ``repod.office``."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from repod.builds import Running
from repod.office import Deed, Details
from repod.web.api.problems import Problem
from repod.windows import Window

_LINE = r"^[^\x00-\x1f\x7f]*$"
_WORD = r"^[^\x00-\x1f\x7f/]+$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
NEVRA_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*-([0-9]{1,10}:)?[A-Za-z0-9_.+~^]+-[A-Za-z0-9_.+~^]+\.[A-Za-z0-9_]+$"

_Word = Annotated[str, Field(min_length=1, max_length=300, pattern=_WORD)]
_Words = Annotated[Sequence[_Word], Field(max_length=500)]
Why = Annotated[str, Field(max_length=1000, pattern=_LINE, description="The reason, for the record.")]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Request(BaseModel):
    """A body: nothing that is not known, and no value of another type, such as true for 1."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Promote(Request):
    """Which builds of another repository are to be added. As ``repod promote`` takes it."""

    source: str = Field(
        alias="from", max_length=100, pattern=NAME_PATTERN, description="The repository that lists them."
    )
    names: _Words = Field(default=(), description="Builds: NAME (its newest), NAME-EVR, or NAME-EVR.ARCH.")
    advisories: _Words = Field(default=(), description="Ids of advisories, with the builds they list.")
    generation: Number | None = Field(default=None, description="As it was then; without names, all that it listed.")
    siblings: bool = Field(default=False, description="Also all builds of the same source packages.")
    force: bool = Field(default=False, description="Also where a newer build is listed.")
    dry_run: bool = Field(default=False, description="Only answer what would be done.")
    why: Why = ""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        whole = not self.names and not self.advisories
        if whole and self.generation is None:
            msg = "say what to promote: names, advisories, or a generation for all that it listed"
            raise ValueError(msg)
        if whole and self.siblings:
            msg = "siblings: a whole generation has them all; leave it out, or say names"
            raise ValueError(msg)
        return self


class Rollback(Request):
    """To which generation. As ``repod rollback`` takes it."""

    to: Number | None = Field(default=None, description="The generation; none: the one before the last change.")
    dry_run: bool = Field(default=False, description="Only answer what would change.")
    why: Why = ""


class Remove(Request):
    """Which builds are to leave the metadata. As ``repod remove`` takes it."""

    nevras: Annotated[_Words, Field(min_length=1)] = Field(description="NEVRAs, or shell patterns over them.")
    dry_run: bool = Field(default=False, description="Only answer what would be removed.")
    why: Why = ""


def _window(text: str) -> str:
    """``text``, where it says a window."""
    Window.parse(text)
    return text


_Window = Annotated[str, Field(min_length=1, max_length=100, pattern=_LINE), AfterValidator(_window)]


class SetRing(Request):
    """What a ring is to be. As ``repod ring set`` takes it; what is left out, or null, stays as it is."""

    names: _Words = Field(default=(), description="Builds: NAME (its newest), NAME-EVR, or NAME-EVR.ARCH.")
    percent: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="So many of its hosts; 100 where it gets other builds."
    )
    spread: Annotated[int, Field(ge=0, le=366 * 86400)] | None = Field(
        default=None, description="Seconds over which hosts begin; 3600 for a new ring."
    )
    windows: Annotated[Sequence[_Window], Field(max_length=50)] | None = Field(
        default=None, description="When hosts may, such as Mon-Fri 22:00-04:00 UTC; none: always."
    )
    on_failure: Literal["downgrade", "stay"] | None = Field(
        default=None, description="What a host does where its health check fails."
    )
    check: bool | None = Field(default=None, description="Whether only hosts with a health check update.")
    paused: bool | None = Field(default=None, description="Whether no host begins any more.")
    why: Why = ""


class Reason(Request):
    """Why a mark is set."""

    why: Why = ""


class Verify(Request):
    """How a repository is to be proven."""

    repair: bool = Field(default=False, description="Mend what can be mended without inventing.")


class Version(BaseModel):
    """Which repod answers."""

    version: str = Field(description="The version of repod.")
    api: str = Field(description="The version of this API.")


class Known(BaseModel):
    """Who calls."""

    caller: str = Field(description="As logs and records name it: token ci.")
    how: Literal["token", "password", "certificate"]
    verbs: Sequence[str] = Field(description="What it may do.")
    repositories: Sequence[str] = Field(
        description="Where: names, or * for all; none where the settings of each repository say who reads it."
    )


class Modular(BaseModel):
    """Builds of module streams."""

    streams: Mapping[str, Sequence[str]] = Field(description="By NEVRA: the streams, as NAME:STREAM.")


class Progress(BaseModel):
    """How far a change is."""

    what: str = Field(description="What is being done.")
    done: int = Field(description="How many of it are done.")
    total: int = Field(description="Of how many; 0 where that is not known.")


class Change(BaseModel):
    """A change: a job, running or ended."""

    id: str
    what: str = Field(
        description="promote, rollback, remove, pin, unpin, label, unlabel, prune, verify, advisory, ring."
    )
    repository: str
    actor: str = Field(description="Who asked for it.")
    state: Literal["running", "done", "failed"]
    created: str = Field(description="When, ISO 8601 in UTC.")
    ended: str | None = None
    progress: Progress | None = None
    result: Deed | None = Field(default=None, description="What came of it, where it is done.")
    problem: Problem | None = Field(default=None, description="Why it failed, as the request would have been told.")


class Open(BaseModel):
    """An answer that is told as it is."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class Ring(Open):
    """A ring, as ``repod ring list`` shows it."""

    ring: str
    builds: Sequence[Mapping[str, str]] = Field(description="Each with nevra and header_sha256.")
    before: Sequence[str] = Field(description="What it named before.")
    percent: int
    phases: Sequence[Mapping[str, Any]] = Field(description="How many percent of its hosts, since when.")
    spread: int = Field(description="Seconds over which the hosts of a phase begin.")
    windows: Sequence[str]
    on_failure: Literal["downgrade", "stay"]
    check: bool
    paused: bool
    changed: str
    actor: str
    why: str


class Rings(Open):
    """The rings of a repository; the rest is null where none was ever set."""

    repository: str
    serial: int | None
    issued: str | None
    expires: str | None
    rings: Sequence[Ring]


class Origin(Open):
    """Where a build came from."""

    how: str = Field(description="arrival, promotion, adoption, rollback, resigning or unknown.")
    of: str = Field(description="The name of the uploaded file, REPO@N, a URL, or N.")
    checksum: str = Field(description="The SHA-256 of the bytes that came; empty where unknown.")


class Generation(Open):
    """A generation, as ``repod history`` shows it."""

    generation: int
    time: str
    actor: str
    why: str
    packages: int | None
    added: Sequence[str]
    origins: Sequence[Origin] = Field(alias="from", description="Where each of those added came from.")
    removed: Sequence[str] | None
    documents: Sequence[str] | None = Field(description="Which documents it changed.")


class Pair(Open):
    """What hosts have of a name before and after."""

    before: str | None
    after: str | None


class Others(Open):
    """What came and what went."""

    came: Sequence[str]
    went: Sequence[str]


class Lists(Others):
    """What came, what went, and what changed under the same name."""

    changed: Sequence[str]


class Comparison(Open):
    """What differs for hosts, as ``repod diff`` shows it: the newest builds of each name and architecture."""

    added: Sequence[Pair]
    removed: Sequence[Pair]
    upgraded: Sequence[Pair]
    downgraded: Sequence[Pair]
    replaced: Sequence[Pair]
    others: Others = Field(description="Builds that are not the newest.")
    advisories: Lists
    documents: Lists


class Build(Open):
    """All that is known of a build, as ``repod why`` shows it."""

    package: str
    listed: bool
    since: Mapping[str, Any] | None
    went: Mapping[str, Any] | None
    came: Sequence[Mapping[str, Any]]
    signed: Sequence[Mapping[str, Any]]
    sha256: str
    header_sha256: str | None
    size: int | None
    path: str | None
    stored: bool
    generations: Sequence[Sequence[int]] = Field(description="First and last of each run that lists it.")
    elsewhere: Mapping[str, str] = Field(description="What other repositories list under this NEVRA.")
    labels: Mapping[str, Mapping[str, str]]
    pin: Mapping[str, str] | None
    module: Sequence[str]
    advisories: Sequence[str]
    retention: Mapping[str, Any] | None = Field(default=None, description="Whether it is kept, and why.")


class Package(BaseModel):
    """What there is to say of a NEVRA."""

    package: str
    builds: Sequence[Build]
    details: Details | None = Field(description="What its header says; none where it is not listed.")
    running: Running = Field(description="The hosts that run it, as far as they report.")


class Key(Open):
    """A key that hosts get, as ``repod keys list`` shows it."""

    role: str
    fingerprint: str
    algorithm: str
    created: str
    expires: str
    repositories: Mapping[str, Mapping[str, Any]]


class Going(Open):
    """What a prune would let go, or a note about it."""

    what: Literal["build", "file", "note"]
    name: str
    bytes: int
    why: Sequence[str]


class Advisory(Open):
    """An advisory, as ``repod advisory list`` shows it."""

    id: str
    type: str
    severity: str
    title: str
    issued: str
    packages: int


class Meaning(BaseModel):
    """A kind of problem."""

    name: str
    status: int
    title: str
    meaning: str


class NewAdvisory(BaseModel):
    """An advisory, as a file in JSON holds it; what else it may say stands in the README."""

    model_config = ConfigDict(extra="allow", strict=True)

    id: str = Field(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+~-]*$")
    type: Literal["security", "bugfix", "enhancement", "newpackage"]
    title: str = Field(min_length=1, max_length=1000, pattern=_LINE)
    issued: str = Field(max_length=40, description="A date or time, ISO 8601.")
    packages: Sequence[str | Mapping[str, Any]] = Field(min_length=1, description="NEVRAs of builds that have it.")
