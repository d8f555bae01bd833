"""``[ssh]`` and ``[group.NAME.ssh]``: how hosts are reached over SSH."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from repod.client.places import LocalFile
from repod.values import Seconds, Section

_HOP = r"^(?:[^@\s,\[\]]+@)?(?:[^@:\s,\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$"


def _listed(value: object) -> object:
    """A text is a list of one, or of several between commas, as ssh has it."""
    return [one.strip() for one in value.split(",") if one.strip()] if isinstance(value, str) else value


Hop = Annotated[str, Field(pattern=_HOP)]
"""A jump host: ``HOST``, ``USER@HOST``, ``HOST:PORT``, ``[IPv6]:PORT``."""


class Ssh(Section):
    """How hosts are reached over SSH. What is set here stands before ``config``, a file as ``~/.ssh/config``.

    ``user`` and ``port`` are for hosts whose inventory does not say theirs. ``jump``: hosts to go through, the first
    one first, each held to its host key like any other. ``identity``: private key files; none: the agent's keys and
    ``~/.ssh/id_*``. ``known_hosts``: files with the only host keys that are taken; none: those of ssh.
    ``connect_timeout``: seconds until a host must have answered at all, ``auth_timeout``: until it must have let in.
    ``keepalive``: seconds of silence after which a host is asked whether it is still there; after three times as many
    the connection is given up; 0: never.
    """

    # Defaults have places in them, which are joined wherever this becomes a part of settings.
    model_config = ConfigDict(frozen=True, extra="forbid", revalidate_instances="always")

    user: Annotated[str, Field(pattern=r"^[^@:\s]*$", max_length=100)] = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    jump: Annotated[Sequence[Hop], BeforeValidator(_listed)] = ()
    identity: Annotated[Sequence[LocalFile], BeforeValidator(_listed)] = ()
    agent: bool = True
    known_hosts: Annotated[Sequence[LocalFile], BeforeValidator(_listed)] = ()
    config: Annotated[LocalFile, Field(validate_default=True)] = "~/.ssh/config"
    connect_timeout: Annotated[Seconds, Field(ge=0.1, le=600)] = 10.0
    auth_timeout: Annotated[Seconds, Field(ge=0.1, le=600)] = 30.0
    keepalive: Annotated[Seconds, Field(le=3600)] = 15.0


def overridden(general: Ssh, special: Ssh) -> Ssh:
    """``general`` with each key that ``special`` gives."""
    return general.model_copy(update={name: getattr(special, name) for name in special.model_fields_set})
