"""Making a signing key that every supported host takes: RSA-4096, for signing only."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from repod.errors import Misconfigured, Unavailable
from repod.scratch import scratch
from repod.signing.process import run

# RSA-4096 takes a second or two, some more where the machine is busy.
_TIMEOUT = 120.0
# A socket of the agent must fit under this directory, however long TMPDIR is.
_SHORT = "/tmp"  # noqa: S108 - mkdtemp makes a directory with a name that cannot be foreseen, mode 0700  # nosec B108


class NewKey(NamedTuple):
    """A key pair: both armored, the fingerprint in upper case."""

    secret: bytes
    public: bytes
    fingerprint: str


def create_key(uid: str, *, environ: Mapping[str, str]) -> NewKey:
    """Make a key without a passphrase for ``uid`` (``Name <mail@host>``) that lives two years.

    It is made in a temporary GnuPG home directory that is gone afterwards, with its agent. Raises
    ``Misconfigured``.
    """
    for program in ("gpg", "gpgconf"):
        if shutil.which(program, path=environ.get("PATH")) is None:
            msg = f"{program} is needed to create a key: install gnupg, or set [signing] key to one you have"
            raise Misconfigured(msg)
    try:
        with scratch(Path(_SHORT), "repod-") as home:
            try:
                return _create(home, uid, {**environ, "LC_ALL": "C"})
            finally:
                # gpg keeps an agent, and where there is a /run/user a directory for its sockets.
                for action in (["--kill", "all"], ["--remove-socketdir"]):
                    run(["gpgconf", "--homedir", str(home), *action], environ=environ, timeout=_TIMEOUT)
    except OSError as error:
        msg = f"a key cannot be created: {_SHORT} cannot be used ({error.strerror}); make it writable for repod"
        raise Misconfigured(msg) from error
    except Unavailable as error:
        msg = f"a key cannot be created: {error}; or set [signing] key to one you have"
        raise Misconfigured(msg) from error


def _create(home: Path, uid: str, environ: Mapping[str, str]) -> NewKey:
    def gpg(*words: str) -> bytes:
        base = ("gpg", "--homedir", str(home), "--no-options", "--batch", "--no-tty", "--quiet")
        unlocked = ("--pinentry-mode", "loopback", "--passphrase", "")
        finished = run((*base, *unlocked, *words), environ=environ, timeout=_TIMEOUT)
        if finished.code != 0:
            msg = f"gpg failed with {finished.failure}"
            raise Unavailable(msg)
        return finished.output

    gpg("--quick-generate-key", "--", uid, "rsa4096", "sign", "2y")
    listing = gpg("--with-colons", "--list-keys").decode()
    fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))
    return NewKey(
        secret=gpg("--armor", "--export-secret-keys", fingerprint),
        public=gpg("--armor", "--export", fingerprint),
        fingerprint=fingerprint,
    )
