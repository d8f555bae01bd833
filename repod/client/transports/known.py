"""Host keys that are known: ``known_hosts`` files as sshd(8) describes them, hashed names and patterns too."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Literal, Self

Marker = Literal["", "@revoked", "@cert-authority"]

_PORT = 22


def fingerprint(blob: bytes) -> str:
    """Of a key, as ``ssh-keygen -l`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def called(address: str, port: int) -> str:
    """How ``known_hosts`` calls a host: ``HOST``, or ``[HOST]:PORT`` where the port is not that of SSH."""
    return address.lower() if port == _PORT else f"[{address.lower()}]:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A line: a key of the hosts that fit ``names``. ``place`` is ``FILE:LINE``; ``blob`` the key as it is sent."""

    place: str
    marker: Marker
    names: str
    kind: str
    blob: bytes

    @property
    def shown(self) -> str:
        """Kind and fingerprint."""
        return f"{self.kind} {fingerprint(self.blob)}"

    def fits(self, name: str) -> bool:
        """Whether it is of the host that is called so (``called``)."""
        if self.names.startswith("|1|"):
            return _hashed(self.names, name)
        found = False
        for pattern in self.names.lower().split(","):
            if _fits(pattern.removeprefix("!"), name):
                if pattern.startswith("!"):
                    return False
                found = True
        return found


def _hashed(names: str, name: str) -> bool:
    _, _, salt, digest = names.split("|", 3)
    found = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
    return hmac.compare_digest(base64.b64encode(found).decode(), digest)


def _fits(pattern: str, name: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    # Brackets stand for themselves here, around an address before its port.
    return re.fullmatch(translate(pattern.replace("[", "[[]")), name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHosts:
    """All lines of some files."""

    lines: Sequence[Known]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Self:
        """Files that are missing have no lines; a line that cannot be read is passed over, as ssh does.

        ``OSError`` where a file is there and cannot be read.
        """
        return cls(lines=tuple(one for path in paths if path.exists() for one in _lines(path)))

    def of(self, name: str) -> Sequence[Known]:
        """The lines of a host."""
        return [one for one in self.lines if one.fits(name)]


def _lines(path: Path) -> Iterator[Known]:
    for number, text in enumerate(path.read_text(errors="replace").splitlines(), 1):
        words = text.split()
        marker: Marker = ""
        if words and words[0] in {"@revoked", "@cert-authority"}:
            marker = "@revoked" if words[0] == "@revoked" else "@cert-authority"
            words = words[1:]
        if len(words) < 3 or words[0].startswith("#"):  # noqa: PLR2004 - names, kind, key
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
            known = Known(place=f"{path}:{number}", marker=marker, names=words[0], kind=words[1], blob=blob)
            known.fits("")  # a hashed name that is none is found now
        except (binascii.Error, ValueError):
            continue
        yield known
