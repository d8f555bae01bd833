"""Names and passwords in a file as ``htpasswd -B`` writes it."""

import hashlib
import hmac
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import bcrypt

from repod.access import Caller, Reason, Stranger
from repod.callers.watched import Watched

_HASH = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_MOST = 72  # bytes of a password that bcrypt looks at
_REMEMBERED = 4096


class PasswordFile:
    """The passwords in a file. One that was right is remembered: bcrypt is slow on purpose, 50 ms and more."""

    def __init__(self, path: Path) -> None:
        """``path``: the file; it is read anew whenever it changes."""
        self._file = Watched(path, _parse)
        self._secret = os.urandom(32)
        self._right: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """All names; ``Unavailable`` where the file cannot be read."""
        return list(self._file.value())

    def remembers(self, user: str, password: str) -> Caller | None:
        """The caller, where these were found right before and the file still says the same; at once."""
        known = self._file.value().get(user)
        with self._lock:
            right = self._right.get(self._mark(user, password))
        if known is None or right is None or not hmac.compare_digest(known, right):
            return None
        return Caller(names=(user,), how="password")

    def recognize(self, user: str, password: str) -> Caller:
        """The caller; ``Stranger`` where name or password is wrong. Takes as long as bcrypt does."""
        passwords = self._file.value()
        known = passwords.get(user)
        secret = password.encode(errors="surrogatepass")
        fits = len(secret) <= _MOST and b"\0" not in secret
        # For an unknown name somebody else's hash is worked on: the answer takes as long as for a known one.
        against = known or next(iter(passwords.values()), None)
        right = against is not None and bcrypt.checkpw(secret if fits else b"", against)
        if known is None or not right or not fits:
            raise Stranger(Reason.UNKNOWN, f"user {user}" if known else "")
        with self._lock:
            self._right[self._mark(user, password)] = known
            while len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)
        return Caller(names=(user,), how="password")

    def _mark(self, user: str, password: str) -> bytes:
        text = f"{user}\0{password}".encode(errors="surrogatepass")
        return hmac.digest(self._secret, text, hashlib.sha256)


def _parse(data: bytes) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        name, _, known = line.strip().partition(b":")
        if not name or not _HASH.fullmatch(known):
            msg = f"line {number}: expected NAME:HASH with a bcrypt hash; write it with: htpasswd -B FILE NAME"
            raise ValueError(msg)
        found[name.decode()] = known
    return found
