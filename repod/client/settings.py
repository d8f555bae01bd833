"""``repoctl.toml``: where the daemon is, what hosts read, which hosts there are and how they are updated."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from repod.client.rolling import Rollout
from repod.errors import Misconfigured
from repod.values import Fingerprint, Seconds, Section

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]


class Server(Section):
    """``[server]``: the daemon. A token is never written here: a file, a keyring or the environment has it."""

    url: str = "http://127.0.0.1:8470"
    token_file: str = ""
    keyring: str = ""
    ca: str = ""
    timeout: Seconds = 60.0


class Repository(Section):
    """``[repository.NAME]``: what this side knows of a repository beyond what the daemon says.

    ``url``: where hosts read it, empty: as the daemon says. ``inbox``: where packages are pushed, a directory or
    ``s3://BUCKET/PREFIX/``, empty: the daemon's API. ``id``: its id in the hosts' settings, empty: NAME.
    """

    url: str = ""
    inbox: str = ""
    id: str = ""
    bases: Sequence[str] = ()
    keys: Sequence[Fingerprint] = ()


class Group(Section):
    """``[group.NAME]``: hosts that are updated together, and how."""

    repository: str = ""
    rollout: Rollout = Rollout()


class Settings(Section):
    """``repoctl.toml`` as a whole. Relative places are relative to the file; it may be missing."""

    server: Server = Server()
    repository: Mapping[_Name, Repository] = {}
    group: Mapping[_Name, Group] = {}
    state_dir: str = ""
    folder: Path = Path()
    """Where the file lies; not a setting."""

    def grouped(self, name: str) -> Group:
        """The group of that name; ``Misconfigured`` lists those there are."""
        if name in self.group:
            return self.group[name]
        msg = f"group {name!r} is not in the settings; there are: {', '.join(self.group) or 'none'}"
        raise Misconfigured(msg)
