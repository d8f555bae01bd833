"""A signing key in a GnuPG home directory, used through gpg and its agent.

The agent does one private-key operation at a time. Many clients at once gain nothing, and
agents with their usual 32 KiB of locked memory fail under them ("Cannot allocate memory"), so
one signature is made at a time.
"""

import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from urllib.parse import unquote

from repod.config import Signing
from repod.errors import Misconfigured, RepodError, Unavailable
from repod.signing.openpgp import read_certificate
from repod.signing.process import Finished, run
from repod.signing.secret import read_passphrase

# gpg-agent 2.2 opens several sockets, "S.gpg-agent.browser" has the longest name; it gives up
# where a socket's path has more bytes than this.
_LONGEST_SOCKET = 106
_SUFFIX = ".browser"
# Nothing of the user's own settings, and no file of theirs written.
_GPG = (
    "gpg", "--no-options", "--batch", "--no-tty", "--quiet", "--no-random-seed-file",
    "--no-auto-check-trustdb", "--trust-model", "always", "--pinentry-mode", "loopback",
)  # fmt: skip


class GpgSource:
    """A ``checked.Source`` over one key of a home directory. Thread-safe; one signature at a time.

    A signature has ``timeout`` seconds from when gpg starts. The agent is ended on ``close``
    unless it ran before.
    """

    def __init__(self, settings: Signing, environ: Mapping[str, str]) -> None:
        """Find the key; unlock nothing yet. Raises ``Misconfigured`` with all faults."""
        # An agent outlives this process, and needs no credentials of AWS.
        kept = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
        self._environ = {**kept, "LC_ALL": "C"}
        self._timeout = settings.timeout
        self._home = settings.gnupghome
        self._wanted = settings.key.removeprefix("gpg:")
        self._selected = ""
        self._lock = Lock()
        self._closed = False
        faults = [*_missing_programs(environ), *_home_faults(self._home)]
        try:
            self._passphrase = read_passphrase(settings.passphrase_file, environ)
        except Misconfigured as error:
            faults += error.faults
        if faults:
            raise Misconfigured(*faults)
        self._socket = self._agent_socket()
        self._agent_is_ours = not _answers(self._socket)
        try:
            self._keygrips = self._secret_keys()
            exported = self._gpg("--export", self._wanted).output
            self.certificate = read_certificate(f"[signing] key: gpg:{self._wanted}", exported)
        except RepodError as error:
            self.close()
            if isinstance(error, Misconfigured):
                raise
            msg = f"[signing] gnupghome: {self._home} cannot be used: {error}"
            raise Misconfigured(msg) from error
        self.held: frozenset[str] | None = frozenset(self._keygrips)

    def select(self, key: str) -> None:
        """See ``Source.select``."""
        keygrip = self._keygrips[key]
        try:
            if not self._agent_is_ours:
                # What an agent remembers would let a wrong passphrase pass, until it forgets.
                self._ask_agent(f"CLEAR_PASSPHRASE --mode=normal {keygrip}")
            known = self._ask_agent(f"KEYINFO {keygrip}").split()
        except Unavailable as error:
            msg = f"[signing] gnupghome: the gpg-agent of {self._home} does not answer: {error}"
            raise Misconfigured(msg) from error
        # S KEYINFO keygrip type serial id cached protection: P where a passphrase protects it.
        if known[1:2] == ["KEYINFO"] and known[7] == "P" and self._passphrase is None:
            msg = (
                f"[signing] key: gpg:{key} is protected by a passphrase and passphrase_file is not set;"
                " set it to a file that holds the passphrase"
            )
            raise Misconfigured(msg)
        self._selected = key

    def make(self, data: bytes) -> bytes:
        """See ``Source.make``."""
        # The exclamation mark: this very key, not the newest subkey of its certificate.
        words = ["--local-user", f"{self._selected}!", "--digest-algo", "SHA256", "--detach-sign"]
        with self._lock:
            if self._closed:
                msg = "the signing key was closed; repod is shutting down"
                raise Unavailable(msg)
            return self._gpg(*words, data=data, unlock=True).output

    def close(self) -> None:
        """See ``Source.close``."""
        with self._lock:
            if not self._closed and self._agent_is_ours and _answers(self._socket):
                with suppress(Unavailable):  # an agent that hangs must not stop what is closing
                    self._run("gpgconf", "--homedir", self._home, "--kill", "gpg-agent")
            self._closed = True

    def _gpg(self, *words: str, data: bytes = b"", unlock: bool = False) -> Finished:
        base = [*_GPG, "--homedir", self._home]
        if not unlock or self._passphrase is None:
            return self._run(*base, *words, data=data)
        reader, writer = os.pipe()
        try:
            # A pipe takes this much without a reader; the program never sees it as a word or variable.
            os.write(writer, self._passphrase.get_secret_value().encode() + b"\n")
            os.close(writer)
            return self._run(*base, "--passphrase-fd", str(reader), *words, data=data, passed=[reader])
        finally:
            os.close(reader)

    def _run(self, *words: str, data: bytes = b"", passed: Sequence[int] = ()) -> Finished:
        finished = run(words, environ=self._environ, timeout=self._timeout, data=data, passed=passed)
        if finished.code != 0:
            msg = f"{words[0]} failed with {finished.failure}"
            raise Unavailable(msg)
        return finished

    def _ask_agent(self, question: str) -> str:
        return self._run("gpg-connect-agent", "--homedir", self._home, question, "/bye").output.decode()

    def _agent_socket(self) -> str:
        try:
            answer = self._run("gpgconf", "--homedir", self._home, "--list-dirs", "agent-socket")
        except Unavailable as error:
            msg = f"[signing] gnupghome: {self._home} cannot be used: {error}"
            raise Misconfigured(msg) from error
        path = unquote(answer.output.decode(errors="surrogateescape").strip())
        excess = len(os.fsencode(path + _SUFFIX)) - _LONGEST_SOCKET
        if excess > 0:
            length = len(os.fsencode(self._home))
            msg = (
                f"[signing] gnupghome: the path {self._home} has {length} bytes, and gpg-agent cannot open its"
                f" sockets there; expected at most {length - excess}: move it, or give a short symbolic link to it"
            )
            raise Misconfigured(msg)
        return path

    def _secret_keys(self) -> Mapping[str, str]:
        """Keygrips by fingerprint of the keys that may be used: the wanted one or, for a primary, all of its."""
        listing = self._gpg("--with-colons", "--with-keygrip", "--list-secret-keys").output.decode()
        found = list(_certificates(listing))
        for keys in found:
            if self._wanted == next(iter(keys)):
                return {fingerprint: keygrip for fingerprint, keygrip in keys.items() if keygrip}
            if keys.get(self._wanted):
                return {self._wanted: keys[self._wanted]}
        there = ", ".join(next(iter(keys)) for keys in found) or "none"
        msg = f"[signing] key: {self._home} holds no secret key {self._wanted}; it holds: {there}"
        raise Misconfigured(msg)


def _certificates(listing: str) -> Iterator[Mapping[str, str]]:
    """Per certificate, its keygrips by fingerprint, the primary first; empty where the secret is elsewhere."""
    keys: dict[str, str] = {}
    fingerprint, present = "", False
    for fields in (line.split(":") for line in listing.splitlines()):
        if fields[0] == "sec" and keys:
            yield keys
            keys = {}
        if fields[0] in {"sec", "ssb"}:
            present = fields[14] != "#"
        elif fields[0] == "fpr":
            fingerprint = fields[9]
        elif fields[0] == "grp":
            keys[fingerprint] = fields[9] if present else ""
    if keys:
        yield keys


def _missing_programs(environ: Mapping[str, str]) -> Iterator[str]:
    for program in ("gpg", "gpgconf", "gpg-connect-agent"):
        if shutil.which(program, path=environ.get("PATH")) is None:
            yield f"[signing] key: {program} is needed for a gpg: key and not found; install gnupg, or use a key file"


def _home_faults(home: str) -> Iterator[str]:
    if not home:
        yield "[signing] gnupghome is required for a gpg: key; give repod a GnuPG home directory of its own"
        return
    try:
        status = Path(home).stat()
    except OSError as error:
        yield f"[signing] gnupghome: {home} cannot be used ({error.strerror}); give a GnuPG home directory"
        return
    if not stat.S_ISDIR(status.st_mode):
        yield f"[signing] gnupghome: {home} is not a directory; give a GnuPG home directory"
    if status.st_uid != os.geteuid():
        owner = f"user id {status.st_uid}; expected {os.geteuid()}, as which repod runs: chown it"
        yield f"[signing] gnupghome: {home} belongs to {owner}"
    if status.st_mode & 0o077:
        mode = f"mode {stat.S_IMODE(status.st_mode):04o}; expected 0700, so that no other user can read it"
        yield f"[signing] gnupghome: {home} has {mode}: chmod 700 {home}"


def _answers(path: str) -> bool:
    """Whether an agent listens on this socket."""
    with socket.socket(socket.AF_UNIX) as agent:
        try:
            agent.connect(path)
        except OSError:
            return False
    return True
