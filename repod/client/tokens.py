"""The token by which the daemon knows who calls: from the environment, a file or a keyring, and kept in the last two.

It is nowhere else: no argument, no setting, no log line, no message holds it.
"""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from repod.client.settings import Server
from repod.errors import Misconfigured, Unavailable

_LARGEST = 1 << 16
_FORM = re.compile(r"[!-~]{1,4096}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token. ``source`` is where it came from, for messages."""

    text: str = field(repr=False)
    source: str


def find_token(server: Server, environ: Mapping[str, str]) -> Token | None:
    """The token to show: of ``REPOCTL_TOKEN``, ``REPOCTL_TOKEN_FILE``, the settings' file or their keyring.

    None where none of these is said. ``Misconfigured`` where one is and holds no token, or others may read it; or
    where ``./repoctl.toml``, which nobody named, says to whom a token would go that does not lie beside it.
    """
    if given := environ.get("REPOCTL_TOKEN", ""):
        _check_goal(server, "REPOCTL_TOKEN")
        return _proven(given, "REPOCTL_TOKEN")
    named = environ.get("REPOCTL_TOKEN_FILE", "") or server.token_file
    if named:
        if not _beside(server, named):
            _check_goal(server, named)
        return _proven(_read(Path(named)), str(named))
    if server.keyring:
        # It has a token for each daemon: that of another one is never found. Certificates may still be a stranger's.
        if server.stray_trust:
            _check_goal(server, place(server))
        return _from_keyring(server)
    return None


def _beside(server: Server, file: str) -> bool:
    """Whether a token file lies in the folder of settings that nobody named: then it is theirs; no link leads out."""
    return server.stray is not None and Path(file).resolve().is_relative_to(server.stray.parent.resolve())


def _check_goal(server: Server, source: str) -> None:
    """``Misconfigured`` where a file that nobody named would have the token of ``source`` sent somewhere."""
    if server.stray is None:
        return
    what, or_else = f"to send it to {server.url}", ", or set REPOCTL_URL"
    if server.stray_trust:
        what, or_else = "whose certificates to trust", ""
    msg = (
        f"the token of {source} is not sent: {server.stray}, which counts only as it lies in this folder, says {what}; "
        f"if that is right, name the file (--config repoctl.toml, or REPOCTL_CONFIG){or_else}"
    )
    raise Misconfigured(msg)


def check_token(text: str, source: str) -> str:
    """The token in ``text``; ``Misconfigured`` where it can be none, without showing it."""
    token = text.strip()
    if not _FORM.fullmatch(token):
        found = "nothing" if not token else f"{len(token)} characters, {len(token.split())} words"
        msg = f"{source}: expected a token, a single word as repod token add prints it, found {found}"
        raise Misconfigured(msg)
    return token


def place(server: Server) -> str:
    """Where a token is kept, for messages; ``Misconfigured`` where the settings name no place."""
    if server.keyring:
        return f"keyring {server.keyring}, user {_user(server)}"
    if server.token_file:
        return server.token_file
    msg = (
        'no place for a token is named in the settings; name one: [server] token_file = "token", or keyring = "repoctl"'
    )
    raise Misconfigured(msg)


def keep(server: Server, text: str) -> None:
    """Keep a token where the settings say; a file is readable for its owner alone."""
    where = place(server)
    if server.keyring:
        with _keyring(where) as ring:
            ring.set_password(server.keyring, _user(server), text)
        return
    path = Path(where)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made for its owner alone and whole before it has its name.
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text + "\n")
            Path(made).replace(path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError as error:
        msg = f"token file {path} cannot be written ({error.strerror}); name another one: [server] token_file"
        raise Misconfigured(msg) from error


def forget(server: Server) -> bool:
    """Let go of the token that is kept; whether there was one."""
    where = place(server)
    if server.keyring:
        with _keyring(where) as ring:
            if ring.get_password(server.keyring, _user(server)) is None:
                return False
            ring.delete_password(server.keyring, _user(server))
        return True
    try:
        Path(where).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        msg = f"token file {where} cannot be removed ({error.strerror}); remove it by hand"
        raise Misconfigured(msg) from error
    return True


def _proven(text: str, source: str) -> Token:
    return Token(text=check_token(text, source), source=source)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & _OTHERS:
                mode = stat.S_IMODE(status.st_mode)
                msg = (
                    f"token file {path} is open to others (mode {mode:04o}); expected mode 0600; run: chmod 600 {path}"
                )
                raise Misconfigured(msg)
            return file.read(_LARGEST).decode("ascii", errors="replace")
    except OSError as error:
        msg = f"token file {path} cannot be read ({error.strerror}); write one with: repoctl login"
        raise Misconfigured(msg) from error


def _from_keyring(server: Server) -> Token:
    where = place(server)
    with _keyring(where) as ring:
        found = ring.get_password(server.keyring, _user(server))
    if found is None:
        msg = f"{where}: there is no token; put one there with: repoctl login"
        raise Misconfigured(msg)
    return _proven(found, where)


def _user(server: Server) -> str:
    """Under which name a keyring has the token: the daemon's host."""
    return urlsplit(server.url).netloc


@contextlib.contextmanager
def _keyring(where: str) -> Iterator[Any]:
    """The machine's keyring, whose errors become ours."""
    import keyring  # noqa: PLC0415 - only who uses one waits for it
    import keyring.errors  # noqa: PLC0415

    try:
        yield keyring
    except keyring.errors.NoKeyringError as error:
        msg = f"{where}: this machine has no keyring; name a file instead: [server] token_file"
        raise Misconfigured(msg) from error
    except keyring.errors.KeyringError as error:
        msg = f"{where}: the keyring does not answer ({type(error).__name__}); unlock it, or use REPOCTL_TOKEN_FILE"
        raise Unavailable(msg) from error
