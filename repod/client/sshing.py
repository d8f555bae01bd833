"""The settings of SSH: how hosts of a group are reached."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from repod.client.places import LocalFile
from repod.values import Seconds, Section

_Port = Annotated[int, Field(ge=0, le=65535)]


class Ssh(Section):
    """``[ssh]`` for all groups, ``[group.NAME.ssh]`` for one, whose keys take the place of those.

    What is empty or 0 is as ``config`` says it for the host, else as OpenSSH does it. ``jump``: ``[USER@]HOST[:PORT]``
    of hosts that lead to it, the first one first.
    """

    # Defaults have places in them, which are joined wherever this becomes a part of settings.
    model_config = ConfigDict(frozen=True, extra="forbid", revalidate_instances="always")

    user: str = ""
    port: _Port = 0
    identity: Sequence[LocalFile] = ()
    agent: bool = True
    jump: Sequence[str] = ()
    known_hosts: Annotated[Sequence[LocalFile], Field(validate_default=True)] = (
        "~/.ssh/known_hosts",
        "/etc/ssh/ssh_known_hosts",
    )
    config: Annotated[LocalFile, Field(validate_default=True)] = "~/.ssh/config"
    connect_timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    keepalive: Seconds = 15.0


def overridden(general: Ssh, special: Ssh) -> Ssh:
    """``general`` with each key that ``special`` gives."""
    given = {name: getattr(special, name) for name in special.model_fields_set}
    return general.model_copy(update=given)
