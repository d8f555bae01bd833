"""The settings: one frozen tree, read from ``repod.toml``, every fault listed at once.

``config/repod.toml`` shows each key with its default and unit; a test holds the two together.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from repod.auditing import Audit
from repod.confinement.bounds import Mode
from repod.errors import Misconfigured
from repod.hooking import Hook, strangers
from repod.listening import Http
from repod.profiles import PROFILES
from repod.tomltext import faults_of, text_of, tree_of
from repod.values import (
    Bytes,
    Fingerprint,
    LocalPlace,
    Place,
    QueueUrl,
    S3Place,
    Seconds,
    Section,
    build_line,
    key_name,
    repository_name,
)

# Values of key that name something else than a file.
_NO_FILE = re.compile(r"(gpg|command|credential|aws-kms):|[a-z0-9+]+://")
# Keys whose values are places, by their tables.
_PLACES = {
    "signing": (
        "key",
        "passphrase_file",
        "gnupghome",
        "public_key",
        "published",
        "cosign",
        "cosign_passphrase_file",
        "cosign_public_key",
    ),
    "http": ("tls_certificate", "tls_key", "tls_client_ca", "tokens", "passwords"),
    "audit": ("file",),
}
_UNKNOWN = "is not a setting of repod; see config/repod.toml for those there are"


class Log(Section):
    """``[log]``: ``auto`` is text on a terminal and JSON elsewhere."""

    format: Literal["auto", "text", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Signing(Section):
    """``[signing]``: the key that signs packages and indexes, and the other keys that hosts are to know."""

    key: Annotated[str, AfterValidator(key_name)]
    passphrase_file: str = ""
    gnupghome: str = ""
    public_key: str = ""
    timeout: Seconds = 30.0
    published: Sequence[str] = ()
    cosign: Annotated[str, AfterValidator(key_name)] = ""
    cosign_passphrase_file: str = ""
    cosign_public_key: str = ""
    window: Seconds = 7 * 86400.0

    @property
    def cosigning(self) -> "Signing":
        """The settings of the cosigning key, as if it were the one that signs."""
        own = {"key": self.cosign, "passphrase_file": self.cosign_passphrase_file}
        return self.model_copy(update=own | {"public_key": self.cosign_public_key})


class Workers(Section):
    """``[workers]``: the processes that read packages. ``count`` 0 means one per core.

    ``confine``: how they are kept from all that they do not need, by what the kernel has for it.
    """

    count: Annotated[int, Field(ge=0, le=256)] = 0
    timeout: Seconds = 120.0
    memory: Bytes = 2 << 30
    confine: Mode = "auto"


class Watch(Section):
    """``[inbox]``: how inboxes are looked at; the last two where they are prefixes of buckets."""

    watch: Literal["auto", "poll"] = "auto"
    scan_interval: Annotated[Seconds, Field(ge=0.05)] = 5.0
    settle: Seconds = 2.0
    incomplete_after: Seconds = 600.0
    list_interval: Annotated[Seconds, Field(ge=0.05)] = 60.0
    visibility: Annotated[Seconds, Field(ge=2, le=43200)] = 120.0


class Bucket(Section):
    """How a bucket, and the queue that tells of it, is reached; empty texts leave it to boto3."""

    endpoint: str = ""
    queue_endpoint: str = ""
    region: str = ""
    profile: str = ""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    storage_class: str = ""
    encryption: Literal["", "AES256", "aws:kms", "aws:kms:dsse"] = ""
    kms_key: str = ""
    checksums: bool = True
    single_writer: bool = False
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    timeout: Annotated[Seconds, Field(ge=1)] = 30.0


class S3(Bucket):
    """``[s3]``: for all buckets; ``[s3.buckets.NAME]`` says what differs for one."""

    buckets: Mapping[str, Bucket] = {}

    def of(self, name: str) -> Bucket:
        """The settings of the bucket ``name``."""
        common = self.model_dump(exclude={"buckets"})
        own = self.buckets.get(name, Bucket()).model_dump(exclude_unset=True)
        return Bucket.model_validate(common | own)


class Acceptance(Section):
    """``[repository.acceptance]``: which packages and documents are let in."""

    names: Sequence[str] = ("*",)
    signed_by: Sequence[Fingerprint] = ()
    keys: str = ""
    max_size: Bytes = 2 << 30
    file_digest: Literal["any", "sha256"] = "any"
    documents: bool = True


class Retention(Section):
    """``[repository.retention]``: what is kept, and what is looked at before a build goes."""

    keep: Annotated[int, Field(ge=1)] = 5
    keep_versions: Annotated[int, Field(ge=0)] = 0
    keep_days: Annotated[int, Field(ge=0)] = 0
    lines: Sequence[Annotated[str, AfterValidator(build_line)]] = ()
    generations: Annotated[int, Field(ge=1)] = 50
    grace: Seconds = 3 * 86400.0
    hosts: str = ""
    hosts_max_age: Seconds = 30 * 86400.0
    host_metrics: Sequence[str] = ()
    needed_by: Sequence[str] = ()


class PullMode(Section):
    """``[repository.rings]``: the rollout file, by which hosts look for themselves which builds they are to run."""

    valid: Annotated[Seconds, Field(ge=600)] = 3 * 86400.0


class Freshness(Section):
    """``[repository.freshness]``: the signed statement by which clients tell the repository from an old copy of it."""

    valid: Annotated[Seconds, Field(ge=600)] = 2 * 86400.0


class Promotion(Section):
    """``[repository.promotion]``: what builds of other repositories must show before they are let in.

    ``sources`` are names of repositories, none for any; ``bases`` names, directories or URLs of those that
    hosts have beside this one.
    """

    sources: Sequence[str] = Field(default=(), alias="from")
    min_age: Seconds = 0.0
    label: str = ""
    dependencies: bool = False
    bases: Sequence[str] = ()


class Repository(Section):
    """``[[repository]]``: one repository, its inbox and its policy."""

    name: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100), AfterValidator(repository_name)
    ]
    inbox: Place
    store: Place
    queue: QueueUrl = ""
    url: str = ""
    public: bool = False
    readers: Sequence[str] = ("*",)
    profile: Literal["el7", "el8", "el9", "el10", "fedora", "amzn2", "sles15"] = "el9"
    compression: Literal["gz", "zstd"] = "gz"
    single_stream: bool = False
    arches: Annotated[Sequence[str], Field(min_length=1)] = ("x86_64", "noarch")
    duplicates: Literal["reject", "replace"] = "reject"
    changelogs: Annotated[int, Field(ge=0)] = 10
    expect_every: Seconds = 0.0
    retention: Retention = Retention()
    acceptance: Acceptance = Acceptance()
    promotion: Promotion = Promotion()
    rings: PullMode = PullMode()
    freshness: Freshness = Freshness()

    @field_validator("compression")
    @classmethod
    def _read_by_hosts(cls, value: str, info: ValidationInfo) -> str:
        """Where ``profile`` is no profile, that is the fault."""
        profile = PROFILES.get(info.data.get("profile", ""))
        fault = profile.compression_fault(value) if profile else ""
        if fault:
            raise ValueError(fault)
        return value


class Settings(Section):
    """``repod.toml`` as a whole. Relative places are relative to the file."""

    state_dir: LocalPlace = "/var/lib/repod"
    http: Http = Http()
    audit: Audit = Audit()
    log: Log = Log()
    signing: Signing
    workers: Workers = Workers()
    inbox: Watch = Watch()
    s3: S3 = S3()
    repository: Annotated[Sequence[Repository], Field(min_length=1)]
    hook: Sequence[Hook] = ()

    @model_validator(mode="after")
    def _apart(self) -> "Settings":
        names = [repository.name for repository in self.repository]
        faults = [*_overlaps(self), *_strangers(self), *_queues(self), *strangers(self.hook, names)]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def named(self, name: str) -> Repository:
        """The repository of that name; ``Misconfigured`` lists those there are."""
        for repository in self.repository:
            if repository.name == name:
                return repository
        names = ", ".join(repository.name for repository in self.repository)
        msg = f"repository {name!r} is not in the settings; there are: {names}"
        raise Misconfigured(msg)


def rejected_place(inbox: str) -> str:
    """Where refused arrivals of an inbox go: ``rejected`` beside a directory, or within a prefix."""
    bucket = S3Place.parse(inbox)
    return f"{bucket}rejected/" if bucket else str(Path(inbox).parent / "rejected")


def _overlaps(settings: Settings) -> Iterator[str]:
    names = [repository.name for repository in settings.repository]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"repository.name: {name!r} is given to {names.count(name)} repositories; expected one each"
    places = [("state_dir", _plain(settings.state_dir))]
    for repository in settings.repository:
        places.append((f"inbox of {repository.name}", _plain(repository.inbox)))
        places.append((f"store of {repository.name}", _plain(repository.store)))
    for what, place in places:
        for other, outer in places:
            if what != other and place.is_relative_to(outer):
                yield f"repository: the {what} ({place}) lies in the {other} ({outer}); give each its own place"
    for repository in settings.repository:
        if S3Place.parse(repository.inbox):
            continue  # within the inbox, which is compared already
        rejected = _plain(rejected_place(repository.inbox))
        for what, place in places:
            if rejected.is_relative_to(place) or place.is_relative_to(rejected):
                yield f"repository: the {what} ({place}) overlaps {rejected}, where rejected packages go; move one"


def _queues(settings: Settings) -> Iterator[str]:
    for repository in settings.repository:
        if repository.queue and not S3Place.parse(repository.inbox):
            found = f"expected an inbox s3://BUCKET/PREFIX/ beside it, found {repository.inbox!r}"
            yield f"repository {repository.name!r}.queue: {found}; S3 tells a queue of objects, nobody of files"


def _strangers(settings: Settings) -> Iterator[str]:
    """Repositories that retention or a promotion gate names and that there are not."""
    names = [repository.name for repository in settings.repository]
    there = f"there are: {', '.join(names)}"
    for repository in settings.repository:
        gate, at = repository.promotion, f"repository {repository.name!r}.promotion"
        for name in gate.sources:
            if name not in names:
                yield f"{at}.from: {name!r} is not in the settings; {there}"
            elif name == repository.name:
                yield f"{at}.from: {name!r} is the repository itself; name those that builds come from"
        for name in repository.retention.needed_by:
            if name == repository.name or name not in names:
                found = f"expected another repository, found {name!r}; {there}"
                yield f"repository {repository.name!r}.retention.needed_by: {found}"
        for name in gate.bases:
            if name not in names and "/" not in name:
                yield f"{at}.bases: {name!r} is no repository of the settings, no URL and no path with a slash; {there}"


def _plain(place: str | Path) -> Path:
    """``place`` without ``..`` parts, to compare it with others."""
    return Path(os.path.normpath(place))


def parse(text: str, base: Path, source: str = "repod.toml") -> Settings:
    """Settings from TOML text; relative places are joined to ``base``.

    Raises ``Misconfigured`` with one line per fault, each naming the key, what was
    expected and what was found.
    """
    tree = tree_of(text, source)
    with faults_of(tree, source, _UNKNOWN):
        return Settings.model_validate(_join(tree, base))


def load(path: Path) -> Settings:
    """Settings from a file; ``Misconfigured`` if it cannot be read or holds faults."""
    text = text_of(path, "name it with -c FILE, or write one with: repod init DIR")
    return parse(text, path.absolute().parent, str(path))


def _join(tree: dict[str, Any], base: Path) -> dict[str, Any]:
    def place(value: object) -> object:
        return str(base / value) if isinstance(value, str) and value and not _NO_FILE.match(value) else value

    def joined(table: object, keys: Sequence[str]) -> object:
        if not isinstance(table, dict):
            return table
        return {key: places(key, value) if key in keys else value for key, value in table.items()}

    def places(key: str, value: object) -> object:
        if not isinstance(value, list):
            return place(value)
        # A base without a slash is the name of a repository.
        return [one if key == "bases" and "/" not in str(one) else place(one) for one in value]

    tree = dict(tree)
    if "state_dir" in tree:
        tree["state_dir"] = place(tree["state_dir"])
    for name, keys in _PLACES.items():
        if name in tree:
            tree[name] = joined(tree[name], keys)
    if isinstance(tree.get("repository"), list):
        tree["repository"] = [_joined_repository(row, joined) for row in tree["repository"]]
    tree["hook"] = _joined_hooks(tree.get("hook", []), joined)
    return tree


def _joined_hooks(rows: object, joined: Callable[[object, Sequence[str]], object]) -> object:
    return [joined(row, ("secret",)) for row in rows] if isinstance(rows, list) else rows


def _joined_repository(table: object, joined: Callable[[object, Sequence[str]], object]) -> object:
    table = joined(table, ("inbox", "store"))
    if isinstance(table, dict):
        places = {"acceptance": ("keys",), "retention": ("hosts",), "promotion": ("bases",)}
        table |= {key: joined(table[key], inner) for key, inner in places.items() if key in table}
    return table
