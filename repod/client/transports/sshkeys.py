"""Keys of hosts: known before a host is talked to, or it is not talked to."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient

from repod.client.fleet import HostFault, Trouble
from repod.errors import Misconfigured


class OnlyKnown(MissingHostKeyPolicy):
    """Refuses a host whose key is not known, and says what key it showed."""

    def __init__(self, files: Sequence[Path]) -> None:
        """``files``: where known keys are, for who reads the refusal."""
        self._files = files

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002 - paramiko's
        """See ``MissingHostKeyPolicy``."""
        text = (
            f"the key of {hostname} is not known; it shows {shown(key)}: if that is its key, add it to {self._files[0]}"
        )
        raise HostFault(Trouble.HOST_KEY, f"{text}, as ssh-keyscan prints it" if self._files else text)


def changed(name: str, known: PKey, found: PKey) -> HostFault:
    """A host shows another key than the known one."""
    text = f"{name} shows another key than the known one: expected {shown(known)}, found {shown(found)}"
    return HostFault(Trouble.HOST_KEY, f"{text}; it is another machine, or one that was made anew: find out which")


def shown(key: PKey) -> str:
    """A public key as ``ssh`` shows it."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"


def load(client: SSHClient, files: Sequence[Path]) -> None:
    """Let ``client`` know the keys in those of ``files`` that there are."""
    for path in files:
        try:
            client.load_system_host_keys(str(path))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            msg = f"known_hosts: {path} cannot be read ({error}); make it readable, or take it out of the settings"
            raise Misconfigured(msg) from error
    client.set_missing_host_key_policy(OnlyKnown(files))
