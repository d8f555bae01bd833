"""``repoctl.toml``: where the daemon is, what hosts read, which hosts there are and how they are updated."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from repod.client.buckets import S3
from repod.client.grouping import Members, Ssm
from repod.client.places import Base, LocalFile
from repod.client.rolling import Rollout
from repod.client.sshing import Ssh
from repod.errors import Misconfigured
from repod.tomltext import faults_of, text_of, tree_of
from repod.values import Fingerprint, Seconds, Section

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
_UNKNOWN = "is not a setting of repoctl; see config/repoctl.toml for those there are"
_FILE = "repoctl.toml"
_NO_GROUPS = (
    "there is no group at all; groups stand in repoctl.toml: here, in ~/.config/repoctl, in /etc/repod, or named by"
    " --config"
)


def server_url(value: str) -> str:
    """Where a daemon is, without a slash at the end; ``ValueError`` says what is wrong with it."""
    expected = "expected the URL of the daemon, as https://HOST or https://HOST:PORT"
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        msg = f"{expected}; found none ({error})"
        raise ValueError(msg) from error
    if parts.username is not None or parts.password is not None:
        msg = f"{expected}; found one with a user or a password in it: take them out, a token has its own place"
        raise ValueError(msg)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        msg = f"{expected}; found {value!r}"
        raise ValueError(msg)
    return value.rstrip("/")


class Server(Section):
    """``[server]``: the daemon. A token is never written here: a file, a keyring or the environment has it.

    ``keyring``: the name of a service in the keyring. ``ca``: a file with the certificates that are trusted
    instead of the machine's. ``timeout``: seconds that one answer may take.
    """

    url: Annotated[str, AfterValidator(server_url)] = "http://127.0.0.1:8470"
    token_file: LocalFile = ""
    keyring: str = ""
    ca: LocalFile = ""
    timeout: Annotated[Seconds, Field(ge=0.1)] = 60.0
    _stray: Path | None = PrivateAttr(default=None)
    _steered: frozenset[str] = PrivateAttr(default=frozenset())

    def model_post_init(self, context: object, /) -> None:
        """Keep what of this a file says that nobody named."""
        if isinstance(context, Base) and context.stray:
            self._stray = context.stray
            self._steered = frozenset(self.model_fields_set & {"url", "ca"})

    @property
    def stray(self) -> Path | None:
        """The settings file, where nobody named it and it says to whom a token would go; else None.

        Whoever wrote the folder in which repoctl runs, such as a checkout of a stranger, may have written it.
        """
        return self._stray if self._steered else None

    @property
    def stray_trust(self) -> bool:
        """Whether such a file says whose certificates are trusted."""
        return "ca" in self._steered

    def at(self, url: str) -> Self:
        """The same at another URL, which was named on purpose."""
        found = self.model_copy(update={"url": url})
        found._steered = self._steered - {"url"}  # noqa: SLF001 - one of its own
        return found

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.token_file and self.keyring:
            msg = "expected token_file or keyring, found both; take one out"
            raise ValueError(msg)
        return self


class Repository(Section):
    """``[repository.NAME]``: what this side knows of a repository beyond what the daemon says.

    ``url``: where hosts read it, empty: as the daemon says. ``inbox``: where packages are pushed, a directory or
    ``s3://BUCKET/PREFIX/``, empty: the daemon's API. ``id``: its id in the hosts' settings, empty: NAME.
    """

    url: str = ""
    inbox: LocalFile = ""
    id: str = ""
    bases: Sequence[str] = ()
    keys: Sequence[Fingerprint] = ()


class Group(Members):
    """``[group.NAME]``: hosts that are updated together, and how."""

    repository: str = ""
    ssh: Annotated[Ssh, Field(validate_default=True)] = Ssh()
    rollout: Rollout = Rollout()


class Settings(Section):
    """``repoctl.toml`` as a whole. Relative places are relative to the file; it may be missing."""

    server: Server = Server()
    repository: Mapping[_Name, Repository] = {}
    group: Mapping[_Name, Group] = {}
    s3: S3 = S3()
    ssh: Annotated[Ssh, Field(validate_default=True)] = Ssh()
    ssm: Ssm = Ssm()
    state_dir: Annotated[LocalFile, Field(validate_default=True)] = "~/.local/state/repoctl"
    _folder: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: object, /) -> None:
        """Keep where the file lies."""
        if isinstance(context, Base):
            self._folder = context.folder

    @property
    def folder(self) -> Path:
        """Where the file lies; where there is none, the folder in which repoctl runs."""
        return self._folder

    def grouped(self, name: str) -> Group:
        """The group of that name; ``Misconfigured`` lists those there are."""
        if name in self.group:
            return self.group[name]
        there = f"there are: {', '.join(self.group)}" if self.group else _NO_GROUPS
        msg = f"group {name!r} is not in the settings; {there}"
        raise Misconfigured(msg)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings: from ``path``, or the first file that ``candidates`` names; the defaults where there is none.

    ``REPOCTL_URL`` stands before the file. Raises ``Misconfigured`` with a line for each fault.
    """
    base = _base(environ)
    named = path or (Path(environ["REPOCTL_CONFIG"]) if environ.get("REPOCTL_CONFIG") else None)
    found = named or next(filter(Path.exists, candidates(environ)), None)
    tree, source = {}, "repoctl"
    if found is not None:
        source = str(found)
        stray = found.absolute() if named is None and found == Path(_FILE) else None
        if stray:
            _check_owner(stray)
        tree = tree_of(text_of(found, "name another with --config or REPOCTL_CONFIG"), source)
        base = Base(folder=found.absolute().parent, home=base.home, stray=stray)
    settings = parse(tree, base, source)
    return _with_environment(settings, environ)


def candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where the file is looked for, the first place first, unless it is named."""
    yield Path(_FILE)
    yield Path(environ.get("XDG_CONFIG_HOME") or _base(environ).home / ".config") / "repoctl" / _FILE
    yield Path("/etc/repod") / _FILE


def parse(tree: Mapping[str, object], base: Base, source: str = _FILE) -> Settings:
    """Settings of a tree of TOML; relative places are joined to ``base``."""
    with faults_of(tree, source, _UNKNOWN):
        return Settings.model_validate(tree, context=base)


def _base(environ: Mapping[str, str]) -> Base:
    home = environ.get("HOME", "")
    return Base(folder=Path.cwd(), home=Path(home) if home else Path("/"))


def _check_owner(path: Path) -> None:
    """``Misconfigured`` where others may have written it: settings name programs that are run."""
    try:
        status = path.stat()
    except OSError:
        return  # what reads it says why
    remedy = "if it is meant, name it: --config repoctl.toml, or REPOCTL_CONFIG"
    if status.st_uid not in {0, os.geteuid()}:
        msg = (
            f"{path} belongs to uid {status.st_uid}: expected a file of yours (uid {os.geteuid()}) or of root; {remedy}"
        )
        raise Misconfigured(msg)
    if status.st_mode & stat.S_IWOTH:
        msg = f"{path} may be written by anybody (mode {stat.S_IMODE(status.st_mode):04o}): run chmod o-w; {remedy}"
        raise Misconfigured(msg)


def _with_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """With what the environment says of the daemon."""
    given = environ.get("REPOCTL_URL", "")
    if not given:
        return settings
    try:
        url = server_url(given)
    except ValueError as error:
        msg = f"REPOCTL_URL: {error}"
        raise Misconfigured(msg) from error
    return settings.model_copy(update={"server": settings.server.at(url)})
